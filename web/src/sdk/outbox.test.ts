/** The outbox: kept before it is sent, sent in order and once, by one of several tabs, also after a reload. */
import "fake-indexeddb/auto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { indexedDbOutbox } from "./indexeddb_outbox.ts";
import { memoryOutbox, type OutboxStore } from "./outbox_store.ts";
import { ACCEPTED, delta, type FakeSocket, PART, page, Rig, STARTED, settle } from "./rig.ts";

const ask = (id: string, chat = "c") => ({
  request_id: id,
  chat_id: chat,
  message_id: `m-${id}`,
  text: `say ${id}`,
});

function accept(socket: FakeSocket, id: string, more: object = {}): void {
  const frame = socket
    .all("submit")
    .findLast((each) => (each.request as { request_id: string }).request_id === id);
  if (!frame) throw new Error(`${id} was not submitted`);
  socket.say({
    type: "submitted",
    ref: frame.ref,
    request_id: id,
    chat_id: "c",
    cursor: "0-0.0a0a0a0a",
    ...more,
  });
}

function refuse(socket: FakeSocket, more: object): void {
  socket.say({ type: "error", ref: socket.last("submit").ref, message: "No.", ...more });
}

const sent = (socket: FakeSocket) =>
  socket.all("submit").map((frame) => (frame.request as { request_id: string }).request_id);

/** A store whose writes become durable when the test says so. */
function slowStore(): OutboxStore & { readonly settle: (() => void)[] } {
  const store = memoryOutbox();
  const waiting: (() => void)[] = [];
  return {
    ...store,
    settle: waiting,
    put: async (entry) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      await store.put(entry);
    },
  };
}

describe("a submit", () => {
  it("is durable before it is sent, and its answer is there at once", async () => {
    const store = slowStore();
    const rig = new Rig({ outbox: store });
    const socket = await rig.online();
    const answer = rig.client.submit(ask("a"));
    expect(answer.state.get()).toMatchObject({
      status: "unsent",
      delivery: "outbox",
      chatId: "c",
      messageId: "m-a",
    });
    rig.client.submit(ask("b", "other"));
    await settle();
    store.settle[1]!();
    await settle();
    expect(sent(socket)).toEqual(["b"]);
    accept(socket, "b");
    store.settle[0]!();
    await settle();
    expect(sent(socket)).toEqual(["b", "a"]);
    expect(answer.state.get().delivery).toBe("sending");
    accept(socket, "a");
    await settle();
    expect(answer.state.get()).toMatchObject({ status: "queued", delivery: "accepted" });
    expect(await store.load()).toEqual([]);
    expect(rig.client.outbox.get()).toEqual([]);
  });

  it("is followed from its start by whoever holds its answer", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const answer = rig.client.submit(ask("a"));
    answer.hold();
    await settle();
    expect(socket.last("submit")).toMatchObject({ follow: true, request: ask("a") });
    accept(socket, "a");
    socket.say(page("a", 0, ACCEPTED, STARTED, PART, delta("Hi")));
    await settle();
    expect(answer.state.get()).toMatchObject({ status: "running", sync: "live", parts: [{ text: "Hi" }] });
    expect(socket.all("subscribe")).toEqual([]);
  });

  it("goes out again under the same id, following, when the reply was lost with the connection", async () => {
    const rig = new Rig();
    const first = await rig.online();
    rig.client.submit(ask("a")).hold();
    await settle();
    const second = await rig.reconnect();
    expect(second.last("submit")).toEqual(first.last("submit"));
    expect(second.all("subscribe")).toEqual([]);
    accept(second, "a", { created: false });
    await settle();
    expect(rig.client.outbox.get()).toEqual([]);
  });

  it("waits for the earlier ones of its chat, and not for those of others", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    for (const [id, chat] of [
      ["a1", "a"],
      ["a2", "a"],
      ["b1", "b"],
    ] as const)
      rig.client.submit(ask(id, chat));
    await settle();
    expect(sent(socket)).toEqual(["a1", "b1"]);
    accept(socket, "a1");
    await settle();
    expect(sent(socket)).toEqual(["a1", "b1", "a2"]);
  });

  it("is kept while offline, counted, and sent once when there is a connection", async () => {
    const rig = new Rig();
    rig.client.submit(ask("a"));
    rig.client.start();
    await settle();
    expect(rig.client.connection.get().unsent).toBe(1);
    const socket = await rig.greet();
    expect(sent(socket)).toEqual(["a"]);
  });

  it("is tried again after a refusal that may pass, no sooner than asked", async () => {
    const rig = new Rig({ random: () => 0 });
    const socket = await rig.online();
    rig.client.submit(ask("a"));
    await settle();
    refuse(socket, { code: "rate_limited", retryable: true, retry_after_ms: 5_000 });
    await settle();
    expect(rig.client.outbox.get()).toMatchObject([{ state: "waiting", error: { code: "rate_limited" } }]);
    rig.clock.advance(4_999);
    expect(sent(socket)).toEqual(["a"]);
    rig.clock.advance(2);
    expect(sent(socket)).toEqual(["a", "a"]);
  });

  it("stays for the person to see when it is refused for good, until it is taken back or tried again", async () => {
    const store = memoryOutbox();
    const rig = new Rig({ outbox: store });
    const socket = await rig.online();
    const answer = rig.client.submit(ask("a"));
    await settle();
    refuse(socket, { code: "unknown_agent" });
    await settle();
    expect(answer.state.get()).toMatchObject({
      status: "unsent",
      delivery: "refused",
      refusal: { code: "unknown_agent" },
    });
    expect(await store.load()).toMatchObject([{ state: "refused" }]);
    rig.client.retry("a");
    await settle();
    expect(sent(socket)).toEqual(["a", "a"]);
    refuse(socket, { code: "unknown_agent" });
    expect(await rig.client.withdraw("a")).toBe(true);
    await settle();
    expect(await store.load()).toEqual([]);
    expect(answer.state.get().refusal?.code).toBe("withdrawn");
  });

  it("that is too long is refused without being sent", async () => {
    const rig = new Rig();
    await rig.online();
    const answer = rig.client.submit({ ...ask("a"), text: "x".repeat(2 ** 20) });
    await settle();
    expect(answer.state.get().refusal?.code).toBe("too_large");
    await expect(answer.ended).rejects.toMatchObject({ code: "too_large" });
  });

  it("can be cancelled before it is sent, and after it may have been", async () => {
    const rig = new Rig();
    rig.client.submit(ask("a"));
    await expect(rig.client.cancel("a")).resolves.toEqual({ won: true, status: "cancelled" });
    const socket = await rig.online();
    expect(sent(socket)).toEqual([]);
    rig.client.submit(ask("b"));
    await settle();
    const cancelled = rig.client.cancel("b");
    await settle();
    expect(socket.all("cancel")).toEqual([]);
    accept(socket, "b");
    await settle();
    socket.say({ type: "cancel_result", ref: socket.last("cancel").ref, won: true, status: "cancelled" });
    await expect(cancelled).resolves.toEqual({ won: true, status: "cancelled" });
  });

  it("is sent even where nothing can be kept", async () => {
    const broken: OutboxStore = {
      load: () => Promise.reject(new Error("no")),
      put: () => Promise.reject(new Error("no")),
      remove: () => Promise.reject(new Error("no")),
    };
    const rig = new Rig({ outbox: broken });
    const socket = await rig.online();
    rig.client.submit(ask("a"));
    await settle();
    accept(socket, "a");
    await settle();
    expect(rig.client.outbox.get()).toEqual([]);
  });
});

describe("an outbox in IndexedDB", () => {
  let name = 0;

  beforeEach(() => {
    name++;
  });

  afterEach(() => {
    vi.unstubAllGlobals();
  });

  /** Until it is so: the store has turns of its own, which no test can count. */
  const soon = (check: () => void) => vi.waitFor(check, { timeout: 3_000, interval: 5 });
  const store = () => indexedDbOutbox(`test-${name}`);

  it("sends what a page left behind, in order, under the same ids", async () => {
    const before = new Rig({ outbox: store() });
    before.client.submit(ask("a"));
    before.client.submit(ask("b"));
    const reading = store();
    await soon(async () => expect(await reading.load()).toHaveLength(2));
    before.client.close();
    const after = new Rig({ outbox: store() });
    const socket = await after.online();
    await soon(() => expect(sent(socket)).toEqual(["a"]));
    expect(socket.last("submit").request).toEqual(ask("a"));
    expect(after.client.answer("b").state.get()).toMatchObject({ status: "unsent", delivery: "outbox" });
    accept(socket, "a");
    await soon(() => expect(sent(socket)).toEqual(["a", "b"]));
    accept(socket, "b");
    await soon(async () => expect(await reading.load()).toEqual([]));
    after.client.close();
    reading.close?.();
  });

  it("is sent by one of two tabs, and both know what became of it", async () => {
    vi.stubGlobal("navigator", { locks: new FakeLocks() });
    const one = new Rig({ outbox: store() });
    const two = new Rig({ outbox: store() });
    const [first, second] = [await one.online(), await two.online()];
    const seen = two.client.answer("a");
    seen.hold();
    one.client.submit(ask("a"));
    await soon(() => expect(sent(first)).toEqual(["a"]));
    await soon(() => expect(two.client.outbox.get()).toHaveLength(1));
    expect(sent(second)).toEqual([]);
    accept(first, "a");
    await soon(() => expect(two.client.outbox.get()).toEqual([]));
    expect(sent(second)).toEqual([]);
    expect(seen.state.get().delivery).toBe("accepted");
    two.client.submit(ask("a"));
    await soon(() => expect(sent(second)).toEqual(["a"]));
    one.client.close();
    two.client.close();
  });

  it("is sent by the other tab when the one that was about to is gone", async () => {
    vi.stubGlobal("navigator", { locks: new FakeLocks() });
    const one = new Rig({ outbox: store() });
    const two = new Rig({ outbox: store() });
    const [first, second] = [await one.online(), await two.online()];
    one.client.submit(ask("a"));
    await soon(() => expect(sent(first)).toEqual(["a"]));
    await soon(() => expect(two.client.outbox.get()).toHaveLength(1));
    one.client.close();
    await soon(() => expect(sent(second)).toEqual(["a"]));
    two.client.close();
  });

  it("cannot be taken back by one tab while another may have sent it", async () => {
    vi.stubGlobal("navigator", { locks: new FakeLocks() });
    const one = new Rig({ outbox: store() });
    const two = new Rig({ outbox: store() });
    const first = await one.online();
    const second = await two.online();
    one.client.submit(ask("a"));
    await soon(() => expect(sent(first)).toEqual(["a"]));
    await soon(() => expect(two.client.outbox.get()).toHaveLength(1));
    expect(await two.client.withdraw("a")).toBe(false);
    const cancelled = two.client.cancel("a");
    await settle();
    expect(second.all("cancel")).toEqual([]);
    accept(first, "a");
    await soon(() => expect(second.all("cancel")).toHaveLength(1));
    second.say({ type: "cancel_result", ref: second.last("cancel").ref, won: true, status: "cancelled" });
    await expect(cancelled).resolves.toMatchObject({ won: true });
    one.client.close();
    two.client.close();
  });

  it("is taken back in every tab", async () => {
    const one = new Rig({ outbox: store() });
    const two = new Rig({ outbox: store() });
    two.client.start();
    const seen = two.client.answer("a");
    one.client.submit(ask("a"));
    await soon(() => expect(two.client.outbox.get()).toHaveLength(1));
    await one.client.withdraw("a");
    await soon(() => expect(seen.state.get().refusal?.code).toBe("withdrawn"));
    one.client.close();
    two.client.close();
  });
});

/** Web Locks as far as the outbox uses them: exclusive, in order, given up when the promise ends or the signal aborts. */
class FakeLocks {
  readonly #tails = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, number>();

  request(
    name: string,
    options: { signal?: AbortSignal; ifAvailable?: boolean },
    held: (lock: object | null) => Promise<void>,
  ): Promise<void> {
    const waiting = this.#waiting.get(name) ?? 0;
    if (options.ifAvailable && waiting > 0) return Promise.resolve().then(() => held(null));
    this.#waiting.set(name, waiting + 1);
    const before = this.#tails.get(name) ?? Promise.resolve();
    const mine = before.then(() => {
      options.signal?.throwIfAborted();
      return held({});
    });
    const over = () => void this.#waiting.set(name, this.#waiting.get(name)! - 1);
    this.#tails.set(name, mine.then(over, over));
    return mine;
  }
}
