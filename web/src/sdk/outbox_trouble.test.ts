/** The outbox where things go wrong around it: storage, locks, clocks, other tabs, and people who share a browser. */
import "fake-indexeddb/auto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { indexedDbOutbox } from "./indexeddb_outbox.ts";
import { memoryOutbox, type OutboxStore } from "./outbox_store.ts";
import { type FakeSocket, Rig, settle } from "./rig.ts";
import type { OutboxEntry } from "./state.ts";

const ask = (id: string, chat = "c") => ({ request_id: id, chat_id: chat, message_id: `m-${id}`, text: id });

const sent = (socket: FakeSocket) =>
  socket.all("submit").map((frame) => (frame.request as { request_id: string }).request_id);

function accept(socket: FakeSocket, id: string): void {
  const frame = socket.all("submit")[sent(socket).lastIndexOf(id)]!;
  socket.say({ type: "submitted", ref: frame.ref, request_id: id, chat_id: "c", cursor: "0-0.0a0a0a0a" });
}

const never = () => new Promise<never>(() => {});
const failing = () => Promise.reject(new Error("no"));

describe("a store that fails", () => {
  it("loses no message that it had no room for, and the page says that it is not kept", async () => {
    const free = async () => () => {};
    const store: OutboxStore = { ...memoryOutbox(), put: failing, claim: free, claimNow: free };
    const rig = new Rig({ outbox: store });
    const socket = await rig.online();
    rig.client.submit(ask("a"));
    await settle();
    expect(sent(socket)).toEqual(["a"]);
    expect(rig.client.connection.get()).toMatchObject({ durable: false, unsent: 1 });
    accept(socket, "a");
    await settle();
    expect(rig.client.outbox.get()).toEqual([]);
  });

  it("holds no message up by hanging, and is trusted again once it keeps something", async () => {
    const memory = memoryOutbox();
    let hangs = true;
    const store: OutboxStore = {
      load: () => (hangs ? never() : memory.load()),
      put: (entry) => (hangs ? never() : memory.put(entry)),
      remove: (id) => (hangs ? never() : memory.remove(id)),
    };
    const rig = new Rig({ outbox: store });
    rig.client.start();
    rig.client.submit(ask("a"));
    await settle();
    const socket = await rig.greet();
    for (let turn = 0; turn < 3; turn++) {
      rig.clock.advance(3_000);
      await settle();
    }
    expect(sent(socket)).toEqual(["a"]);
    expect(rig.client.connection.get().durable).toBe(false);
    accept(socket, "a");
    hangs = false;
    rig.client.submit(ask("b", "other"));
    await settle();
    expect(sent(socket)).toEqual(["a", "b"]);
    expect(rig.client.connection.get().durable).toBe(true);
  });

  it("may hold things that are no entries", async () => {
    const junk = [null, 3, {}, { requestId: "x" }, { requestId: "y", order: 1, at: 1, submission: {} }];
    const sound = { requestId: "a", order: 1, at: 1, submission: ask("a"), state: "sending" };
    const store = { ...memoryOutbox(), load: async () => [...junk, sound] as OutboxEntry[] };
    const rig = new Rig({ outbox: store });
    expect(sent(await rig.online())).toEqual(["a"]);
  });
});

describe("what another page left", () => {
  it("is not asked for before it is sent, though somebody holds its answer from the start", async () => {
    const store = memoryOutbox();
    await store.put({ ...LEFT, state: "waiting" });
    const rig = new Rig({ outbox: store, user: "u" });
    const answer = rig.client.answer("a");
    answer.hold();
    const socket = await rig.online();
    expect(socket.all("subscribe")).toEqual([]);
    expect(socket.last("submit")).toMatchObject({ follow: true });
  });

  it("is cancelled, should the server have it, when it is taken back", async () => {
    const store = memoryOutbox();
    await store.put({ ...LEFT, state: "waiting" });
    const rig = new Rig({ outbox: store, user: "u" });
    rig.client.start();
    await settle();
    expect(await rig.client.withdraw("a")).toBe(true);
    const socket = await rig.greet();
    expect(sent(socket)).toEqual([]);
    expect(socket.last("cancel")).toMatchObject({ request_id: "a" });
  });
});

describe("what was taken back, and the server may have", () => {
  const left = async () => {
    const store = memoryOutbox();
    await store.put({ ...LEFT, state: "waiting" });
    const first = new Rig({ outbox: store, user: "u" });
    first.client.start();
    await settle();
    expect(await first.client.withdraw("a")).toBe(true);
    await settle();
    return { store, first };
  };

  it("is kept without its words until the server has answered, over the page's end", async () => {
    const { store, first } = await left();
    expect(first.client.outbox.get()).toEqual([]);
    expect(await store.load()).toMatchObject([{ state: "withdrawn", submission: { request_id: "a" } }]);
    expect(JSON.stringify(await store.load())).not.toContain("text");
    first.client.close();
    await settle();
    const second = new Rig({ outbox: store, user: "u" });
    const socket = await second.online();
    expect(sent(socket)).toEqual([]);
    expect(second.client.outbox.get()).toEqual([]);
    expect(second.client.connection.get().unsent).toBe(0);
    const { ref } = socket.last("cancel");
    socket.say({
      type: "error",
      ref,
      code: "unknown_request",
      message: "No such request.",
      retryable: false,
    });
    await settle();
    expect(await store.load()).toEqual([]);
  });

  it("is said again by the next page where the server could not see to it", async () => {
    const { store, first } = await left();
    const socket = await first.greet();
    const { ref } = socket.last("cancel");
    socket.say({ type: "error", ref, code: "unavailable", message: "Later.", retryable: true });
    await settle();
    expect(await store.load()).toHaveLength(1);
    first.client.close();
    const second = await new Rig({ outbox: store, user: "u" }).online();
    second.say({ type: "cancel_result", ref: second.last("cancel").ref, won: true, status: "cancelled" });
    await settle();
    expect(await store.load()).toEqual([]);
  });

  it("is not said as somebody else", async () => {
    const { store, first } = await left();
    first.client.close();
    const socket = await new Rig({ outbox: store, user: "other" }).online({ user: "other" });
    expect(socket.all("cancel")).toEqual([]);
    expect(await store.load()).toHaveLength(1);
  });

  it("does not take along what is asked anew under its id", async () => {
    const { store, first } = await left();
    first.client.submit(ask("a"));
    const socket = await first.greet();
    socket.say({ type: "cancel_result", ref: socket.last("cancel").ref, won: false, status: "cancelled" });
    await settle();
    expect(await store.load()).toMatchObject([{ requestId: "a", state: "waiting" }]);
  });

  it("leaves with whoever leaves this browser", async () => {
    const { store, first } = await left();
    await first.client.clearOutbox();
    expect(await store.load()).toEqual([]);
  });
});

describe("taking turns", () => {
  it("is done without where locks are refused", async () => {
    const rig = new Rig({ outbox: { ...memoryOutbox(), claim: failing, claimNow: async () => null } });
    const socket = await rig.online();
    rig.client.submit(ask("a"));
    await settle();
    expect(sent(socket)).toEqual(["a"]);
  });

  it("ends the wait for a tab that does not move", async () => {
    const rig = new Rig({ outbox: { ...memoryOutbox(), claim: never, claimNow: async () => null } });
    const socket = await rig.online();
    rig.client.submit(ask("a"));
    await settle();
    rig.clock.advance(14_999);
    await settle();
    expect(sent(socket)).toEqual([]);
    rig.clock.advance(1);
    await settle();
    expect(sent(socket)).toEqual(["a"]);
  });

  it("leaves no lock behind when the turn comes too late", async () => {
    let grant = (_release: () => void) => {};
    const released = vi.fn();
    const claim = () => new Promise<() => void>((resolve) => (grant = resolve));
    const rig = new Rig({ outbox: { ...memoryOutbox(), claim } });
    await rig.online();
    rig.client.submit(ask("a"));
    await settle();
    rig.client.close();
    grant(released);
    await settle();
    expect(released).toHaveBeenCalledOnce();
  });
});

describe("what the browser has not", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("is done without: no channel, no locks, no database", async () => {
    class Refused {
      constructor() {
        throw new DOMException("The operation is insecure.", "SecurityError");
      }
    }
    vi.stubGlobal("BroadcastChannel", Refused);
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("indexedDB", { open: () => new Refused() });
    const rig = new Rig({ outbox: indexedDbOutbox("none") });
    const socket = await rig.online();
    rig.client.submit(ask("a"));
    await vi.waitFor(() => expect(sent(socket)).toEqual(["a"]));
    expect(rig.client.connection.get().durable).toBe(false);
    rig.client.close();
  });
});

describe("clocks", () => {
  it("that are set back keep no message waiting that was put off", async () => {
    const rig = new Rig({ random: () => 0.5 });
    const socket = await rig.online();
    rig.client.submit(ask("a"));
    await settle();
    socket.say({
      type: "error",
      ref: socket.last("submit").ref,
      code: "overloaded",
      message: "",
      retryable: true,
    });
    await settle();
    rig.clock.turnBack(86_400_000);
    rig.clock.advance(1_001);
    await settle();
    expect(sent(socket)).toEqual(["a", "a"]);
  });
});

describe("people who share a browser", () => {
  it("never send, see or follow what is another's, who finds it again", async () => {
    const store = memoryOutbox();
    const rig = new Rig({ outbox: store, user: "ann" });
    rig.client.start();
    rig.client.submit(ask("a"));
    const asked = rig.client.call("delete_chat", { chat_id: "of-ann" });
    rig.client.answer("running").hold();
    await settle();
    rig.client.setToken("of-bob");
    const bob = await rig.greet({ user: "bob" });
    await expect(asked).rejects.toMatchObject({ code: "replaced" });
    expect(bob.sent.map((frame) => frame.type)).toEqual(["hello", "watch", "ping"]);
    expect(rig.client.outbox.get()).toEqual([]);
    expect(rig.client.connection.get().unsent).toBe(0);
    rig.client.submit(ask("b", "other"));
    await settle();
    expect(sent(bob)).toEqual(["b"]);

    const again = new Rig({ outbox: store, user: "ann" });
    again.client.start();
    await settle();
    expect(again.client.outbox.get()).toMatchObject([{ requestId: "a", owner: "ann" }]);
    expect(sent(await again.greet({ user: "ann" }))).toEqual(["a"]);
  });

  it("forget rows, cursor and commands of who was here before, also in mid-session", async () => {
    const rig = new Rig();
    const socket = await rig.online({ user: "ann" });
    socket.say({ type: "feed", next: "9-1.0b0b0b0b", events: [{ type: "chat", chat: CHAT }] });
    await settle();
    expect(rig.client.feed.chats.get().size).toBe(1);
    const ended = rig.client.answer("r").ended;
    rig.client.setToken("of-bob");
    const bob = await rig.greet({ user: "bob" });
    expect(rig.client.feed.chats.get().size).toBe(0);
    expect(bob.last("watch").cursor).toBeNull();
    expect(bob.all("subscribe")).toEqual([]);
    await expect(ended).rejects.toMatchObject({ code: "replaced" });
  });

  it("own what was written before anybody was known, the first who is; older things of theirs go first", async () => {
    const store = memoryOutbox();
    const before = { requestId: "old", submission: ask("old"), order: 1, at: 1, error: null };
    await store.put({ ...before, owner: "u", state: "waiting" });
    const rig = new Rig({ outbox: store });
    rig.client.start();
    rig.client.submit(ask("new"));
    await settle();
    expect(rig.client.outbox.get()).toMatchObject([{ requestId: "new", owner: null }]);
    const socket = await rig.greet();
    expect(sent(socket)).toEqual(["old"]);
    expect(rig.client.outbox.get()).toMatchObject([
      { requestId: "old", owner: "u" },
      { requestId: "new", owner: "u" },
    ]);
  });

  it("take with them what they leave unsent, if they say so", async () => {
    const store = memoryOutbox();
    const rig = new Rig({ outbox: store, user: "ann" });
    rig.client.submit(ask("a"));
    await settle();
    await rig.client.clearOutbox();
    expect(await store.load()).toEqual([]);
    expect(rig.client.outbox.get()).toEqual([]);
  });
});

const CHAT = { chat_id: "c", version: 1, title: "t", created_at: 1, updated_at: 1 };
const LEFT = { requestId: "a", submission: ask("a"), owner: "u", order: 1, at: 1, error: null };
