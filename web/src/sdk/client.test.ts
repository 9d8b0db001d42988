/** The client against a server that is the test: what it sends, in which order, and what it shows. */
import { describe, expect, it } from "vitest";
import { parseEvent } from "./decode.ts";
import { CommandError } from "./errors.ts";
import { foldEvents } from "./fold.ts";
import { ACCEPTED, delta, type FakeSocket, type Frame, PART, page, Rig, STARTED, settle } from "./rig.ts";

/** What the server says at the tail of these events. */
function caughtUp(requestId: string, events: object[], more: object = {}): Frame {
  const fold = foldEvents(events.map((event) => parseEvent(event)!));
  const { parts, bytes, crc } = fold.digest();
  const cursor = `${fold.offset}-1.0b0b0b0b`;
  return {
    type: "caught_up",
    request_id: requestId,
    cursor,
    parts,
    bytes,
    digest: crc,
    sealed: fold.sealed,
    ...more,
  };
}

async function following(rig: Rig): Promise<FakeSocket> {
  const socket = await rig.online();
  rig.client.answer("r").hold();
  await subscribed(socket, { reset: "start" });
  return socket;
}

async function subscribed(socket: FakeSocket, more: object = {}): Promise<void> {
  const { ref } = socket.last("subscribe");
  socket.say({ type: "subscribed", ref, request_id: "r", status: "running", ...more });
  await settle();
}

async function say(socket: FakeSocket, ...frames: object[]): Promise<void> {
  for (const frame of frames) socket.say(frame);
  await settle();
}

const shown = (rig: Rig) =>
  rig.client
    .answer("r")
    .state.get()
    .parts.map((part) => ("text" in part ? part.text : part.kind));
const BEGIN = [ACCEPTED, STARTED, PART];

describe("connecting", () => {
  it("sends nothing but hello until it is greeted, then subscribes, the outbox and the watch, in this order", async () => {
    const rig = new Rig({ token: "secret" });
    rig.client.answer("r").hold();
    const listed = rig.client.call("list_agents", {});
    rig.client.start();
    await settle();
    rig.socket.open();
    expect(rig.socket.sent).toEqual([
      { type: "hello", ref: expect.any(Number), token: "secret", client: "" },
    ]);
    const socket = await rig.greet();
    const kinds = socket.sent.map((frame) => frame.type).filter((type) => type !== "ping");
    expect(kinds).toEqual(["hello", "subscribe", "list_agents", "watch"]);
    socket.say({ type: "agents", ref: socket.last("list_agents").ref, agents: [] });
    await expect(listed).resolves.toMatchObject({ agents: [] });
  });

  it("repeats what has had no reply on the next connection, and takes a reply once", async () => {
    const rig = new Rig();
    const first = await rig.online();
    const done = rig.client.call("delete_chat", { chat_id: "c" });
    const second = await rig.reconnect();
    expect(second.last("delete_chat")).toEqual(first.last("delete_chat"));
    await say(second, { type: "done", ref: second.last("delete_chat").ref });
    await expect(done).resolves.toMatchObject({ type: "done" });
    expect((await rig.reconnect()).all("delete_chat")).toEqual([]);
  });

  it("refuses a caller whose command is refused, is too long, is given up, or whose reply makes no sense", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const refused = rig.client.call("cancel", { request_id: "x" });
    await say(socket, {
      type: "error",
      ref: socket.last("cancel").ref,
      code: "unknown_request",
      message: "No.",
    });
    await expect(refused).rejects.toMatchObject({ code: "unknown_request", retryable: false });
    await expect(rig.client.call("search", { query: "x".repeat(2 ** 20) })).rejects.toMatchObject({
      code: "too_large",
    });
    const stop = new AbortController();
    const aborted = rig.client.call("list_agents", {}, { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
    const late = rig.client.call("list_agents", {}, { timeoutMs: 50 });
    rig.clock.advance(51);
    await expect(late).rejects.toMatchObject({ code: "timeout", retryable: true });
    const strange = rig.client.call("list_agents", {});
    await say(socket, { type: "agents", ref: socket.last("list_agents").ref, agents: 3 });
    await expect(strange).rejects.toBeInstanceOf(CommandError);
    const open = rig.client.call("list_agents", {});
    rig.client.close();
    await expect(open).rejects.toMatchObject({ code: "closed" });
  });
});

describe("following", () => {
  it("shows a snapshot only once it is verified", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    const events = [...BEGIN, delta("Hello")].map((event) => ({ ...event, span: 0 }));
    events.push({ ...delta(", world."), span: 5 });
    await say(socket, { type: "snapshot", request_id: "r", reason: "start" }, page("r", 0, ...events));
    expect(shown(rig)).toEqual([]);
    expect(rig.client.answer("r").state.get().sync).toBe("snapshot");
    await say(socket, caughtUp("r", events));
    expect(shown(rig)).toEqual(["Hello, world."]);
    expect(rig.client.answer("r").state.get()).toMatchObject({
      sync: "live",
      verified: true,
      status: "running",
      offset: 5,
    });
  });

  it("goes on from its cursor on the next connection, and misses nothing", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    await say(socket, page("r", 0, ...BEGIN, delta("Hel")));
    const next = await rig.reconnect();
    expect(rig.client.answer("r").state.get().sync).toBe("paused");
    expect(shown(rig)).toEqual(["Hel"]);
    expect(next.last("subscribe")).toMatchObject({ request_id: "r", cursor: "4-1.0b0b0b0b" });
    await subscribed(next);
    await say(next, page("r", 4, delta("lo", 2)), caughtUp("r", [...BEGIN, delta("Hel"), delta("lo", 2)]));
    expect(shown(rig)).toEqual(["Hello"]);
    expect(rig.client.answer("r").state.get()).toMatchObject({ sync: "live", verified: true });
  });

  it("asks again from where it was when the connection is lost in the middle of a snapshot", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    await say(socket, page("r", 0, ...BEGIN, delta("Hel")));
    const second = await rig.reconnect();
    await subscribed(second, { reset: "unknown_epoch" });
    const half = BEGIN.map((event) => ({ ...event, span: 0 }));
    await say(second, { type: "snapshot", request_id: "r", reason: "unknown_epoch" }, page("r", 0, ...half));
    expect((await rig.reconnect()).last("subscribe")).toMatchObject({ cursor: "4-1.0b0b0b0b" });
    expect(shown(rig)).toEqual(["Hel"]);
  });

  it("ignores pages between a subscribe and its reply", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    rig.client.answer("r").hold();
    await say(socket, page("r", 0, ...BEGIN));
    expect(rig.client.answer("r").state.get().offset).toBe(0);
  });

  it.each([
    ["a gap", (socket: FakeSocket) => socket.say(page("r", 5, delta("x")))],
    [
      "spans that do not add up",
      (socket: FakeSocket) => socket.say({ ...page("r", 3, delta("x")), next: "9-1.0b0b0b0b" }),
    ],
    [
      "an event that does not fit",
      (socket: FakeSocket) => socket.say(page("r", 3, { ...delta("x"), part: 4 })),
    ],
    ["a wrong digest", (socket: FakeSocket) => socket.say(caughtUp("r", BEGIN, { digest: "deadbeef" }))],
    ["a wrong length", (socket: FakeSocket) => socket.say(caughtUp("r", BEGIN, { cursor: "7-1.0b0b0b0b" }))],
  ])("starts over without a cursor after %s, and shows what it had meanwhile", async (_, trouble) => {
    const rig = new Rig();
    const socket = await following(rig);
    await say(socket, page("r", 0, ...BEGIN));
    trouble(socket);
    await settle();
    expect(socket.sent.slice(-2)).toMatchObject([
      { type: "unsubscribe", request_id: "r" },
      { type: "subscribe", request_id: "r", cursor: null },
    ]);
    expect(shown(rig)).toEqual([""]);
    expect(rig.client.answer("r").state.get().verified).toBe(false);
  });

  it("says so after a few fresh starts that do not verify", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    for (let start = 0; start < 4; start++) {
      const whole = BEGIN.map((event, index) => ({ ...event, span: index === 2 ? 3 : 0 }));
      await say(socket, { type: "snapshot", request_id: "r", reason: "start" }, page("r", 0, ...whole));
      await say(socket, caughtUp("r", whole, { digest: "deadbeef" }));
      if (start < 3) await subscribed(socket, { reset: "start" });
    }
    expect(rig.client.answer("r").state.get()).toMatchObject({ sync: "lost" });
    expect(rig.client.answer("r").state.get().lostReason).toContain("report");
    expect(socket.all("subscribe")).toHaveLength(4);
  });

  it("keeps what an attempt showed that another supersedes", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    const again = { ...STARTED, at: 9, attempt: 2, term: 2, keep: "none", reason: "retry" };
    await say(
      socket,
      page("r", 0, ...BEGIN, delta("first try")),
      page("r", 4, again, { ...PART, at: 10 }, delta("second")),
    );
    const state = rig.client.answer("r").state.get();
    expect(shown(rig)).toEqual(["second"]);
    expect(state).toMatchObject({ attempt: 2, reason: "retry" });
    expect(state.superseded).toMatchObject([
      { attempt: 1, reason: "retry", parts: [{ kind: "text", text: "first try" }] },
    ]);
  });

  it("keeps what was shown when it learns by a snapshot that it was superseded meanwhile", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    await say(socket, page("r", 0, ...BEGIN, delta("first try")));
    const next = await rig.reconnect();
    await subscribed(next, { reset: "superseded" });
    const again = { ...STARTED, at: 9, span: 0, attempt: 2, term: 2, reason: "recovered" };
    const log = [{ ...ACCEPTED, span: 0 }, again, { ...PART, at: 10, span: 0 }, delta("second", 8)];
    await say(next, { type: "snapshot", request_id: "r", reason: "superseded" }, page("r", 0, ...log));
    await say(next, caughtUp("r", log));
    expect(shown(rig)).toEqual(["second"]);
    expect(rig.client.answer("r").state.get().superseded).toMatchObject([
      { attempt: 1, reason: "recovered", parts: [{ text: "first try" }] },
    ]);
  });

  it("leaves readers in peace whose part a snapshot tells the same again", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    const done = { type: "part_done", at: 5, part: 0 };
    const second = { ...PART, part: 1 };
    await say(socket, page("r", 0, ...BEGIN, delta("whole"), done, second));
    const before = rig.client.answer("r").part(0).get();
    const next = await rig.reconnect();
    await subscribed(next, { reset: "unknown_epoch" });
    const log = [...BEGIN, delta("whole"), done, second, { ...delta("more"), part: 1 }];
    await say(next, { type: "snapshot", request_id: "r", reason: "unknown_epoch" }, page("r", 0, ...log));
    await say(next, caughtUp("r", log));
    expect(shown(rig)).toEqual(["whole", "more"]);
    expect(rig.client.answer("r").part(0).get()).toBe(before);
  });

  it("tells only the readers of the part that grew, and readers of the shape never of text", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    const second = { ...PART, part: 1, kind: "reasoning" };
    await say(socket, page("r", 0, ...BEGIN, delta("a"), second));
    const answer = rig.client.answer("r");
    const told = { state: 0, shape: 0, first: 0, second: 0 };
    answer.state.subscribe(() => told.state++);
    answer.shape.subscribe(() => told.shape++);
    answer.part(0).subscribe(() => told.first++);
    answer.part(1).subscribe(() => told.second++);
    const untouched = answer.part(1).get();
    await say(socket, page("r", 5, delta("b"), delta("c")));
    expect(told).toEqual({ state: 1, shape: 0, first: 1, second: 0 });
    expect(answer.part(1).get()).toBe(untouched);
    expect(answer.part(0).get()).toMatchObject({ text: "abc", chunks: ["a", "b", "c"] });
    await say(socket, page("r", 7, { type: "part_done", at: 9, part: 1 }));
    expect(told).toEqual({ state: 2, shape: 1, first: 1, second: 1 });
  });

  it("follows to the end, once, and gives what it ended with", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    const events = [...BEGIN, delta("Done."), { type: "completed", at: 9, code: "stop" }];
    const { ended } = rig.client.answer("r");
    await say(socket, page("r", 0, ...events), caughtUp("r", events));
    await expect(ended).resolves.toMatchObject({
      status: "completed",
      sync: "ended",
      endedAt: 9,
      verified: true,
    });
    expect((await rig.reconnect()).all("subscribe")).toEqual([]);
  });

  it("says that an answer was deleted, and lets whoever waits know", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    const { ended } = rig.client.answer("r");
    await say(socket, { type: "gone", request_id: "r" });
    await expect(ended).rejects.toMatchObject({ code: "lost" });
  });

  it("keeps the fold of a released answer, and comes back from its cursor without a snapshot", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const answer = rig.client.answer("r");
    const release = answer.hold();
    await subscribed(socket);
    await say(socket, page("r", 0, ...BEGIN, delta("kept")));
    release();
    rig.clock.advance(1_001);
    expect(socket.last("unsubscribe")).toMatchObject({ request_id: "r" });
    expect(rig.client.answer("r")).toBe(answer);
    answer.hold();
    expect(shown(rig)).toEqual(["kept"]);
    expect(socket.last("subscribe")).toMatchObject({ cursor: "4-1.0b0b0b0b" });
  });

  it("does not leave what is held again at once", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const answer = rig.client.answer("r");
    answer.hold()();
    answer.hold();
    rig.clock.advance(5_000);
    expect(socket.all("unsubscribe")).toEqual([]);
    expect(socket.all("subscribe")).toHaveLength(1);
  });

  it("follows no more at once than the server allows, and the next when there is room", async () => {
    const rig = new Rig();
    const socket = await rig.online({ limits: { subscriptions: 3 } });
    const releases = ["a", "b", "c"].map((id) => rig.client.answer(id).hold());
    expect(socket.all("subscribe").map((frame) => frame.request_id)).toEqual(["a", "b"]);
    releases[0]!();
    expect(socket.all("subscribe").map((frame) => frame.request_id)).toEqual(["a", "b", "c"]);
  });

  it("tries a subscribe again that the server put off", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    rig.client.answer("r").hold();
    const { ref } = socket.last("subscribe");
    await say(socket, {
      type: "error",
      ref,
      code: "overloaded",
      message: "",
      retryable: true,
      retry_after_ms: 2_000,
    });
    rig.clock.advance(1_999);
    expect(socket.all("subscribe")).toHaveLength(1);
    rig.clock.advance(31_000);
    expect(socket.all("subscribe")).toHaveLength(2);
  });

  it("asks again for each that was put off in its own time, not for all with the first", async () => {
    const dice = [0.01, 0.9, 0.9];
    const rig = new Rig({ random: () => dice.shift() ?? 0.9 });
    const socket = await rig.online();
    for (const id of ["a", "b", "c"]) rig.client.answer(id).hold();
    for (const { ref } of socket.all("subscribe"))
      await say(socket, { type: "error", ref, code: "rate_limited", message: "", retryable: true });
    rig.clock.advance(100);
    expect(socket.all("subscribe").map((frame) => frame.request_id)).toEqual(["a", "b", "c", "a"]);
    rig.clock.advance(1_000);
    expect(socket.all("subscribe")).toHaveLength(6);
  });

  it("says that a request is not there any more when the server forgot it, and lets whoever waits know", async () => {
    const rig = new Rig();
    const socket = await following(rig);
    await say(socket, page("r", 0, ...BEGIN, delta("Hel")));
    const next = await rig.reconnect();
    const { ref } = next.last("subscribe");
    const ended = rig.client.answer("r").ended;
    await say(next, { type: "error", ref, code: "unknown_request", message: "No such request of yours." });
    await expect(ended).rejects.toMatchObject({ code: "lost" });
    expect(rig.client.answer("r").state.get()).toMatchObject({
      sync: "lost",
      lostReason: "No such request of yours.",
    });
    expect((await rig.reconnect()).all("subscribe")).toEqual([]);
  });

  it("survives being closed, held and released in any state", async () => {
    const rig = new Rig();
    rig.client.start();
    const release = rig.client.answer("r").hold();
    rig.client.close();
    rig.socket.open();
    release();
    rig.client.answer("r").hold()();
    rig.client.start();
    rig.client.retryNow();
    rig.client.setToken("x");
    rig.clock.advance(600_000);
    await settle();
    expect(rig.sockets).toHaveLength(1);
    expect(rig.clock.waiting).toBe(0);
    await expect(rig.client.call("list_agents", {})).rejects.toMatchObject({ code: "closed" });
  });

  it("follows once, however often it is held and released, and leaves nothing behind", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const before = rig.clock.waiting;
    for (let turn = 0; turn < 1_000; turn++) rig.client.answer(`r${turn % 3}`).hold()();
    expect(socket.all("subscribe")).toHaveLength(3);
    rig.clock.advance(2_000);
    expect(socket.all("unsubscribe")).toHaveLength(3);
    expect(rig.clock.waiting).toBe(before);
  });

  it("shows the same however the log is cut into pages and connections", async () => {
    const events = [
      ...BEGIN,
      delta("Vo"),
      delta("ilà"),
      { type: "part_done", at: 5, part: 0 },
      { type: "completed", at: 6, code: "stop" },
    ];
    for (let cut = 0; cut <= events.length; cut++) {
      for (let lost = 0; lost <= cut; lost++) {
        const rig = new Rig();
        let socket = await following(rig);
        if (lost > 0) socket.say(page("r", 0, ...events.slice(0, lost)));
        socket = await rig.reconnect();
        await subscribed(socket);
        if (cut > lost) socket.say(page("r", lost, ...events.slice(lost, cut)));
        if (cut < events.length) socket.say(page("r", cut, ...events.slice(cut)));
        await say(socket, caughtUp("r", events));
        expect(rig.client.answer("r").state.get()).toMatchObject({
          sync: "ended",
          verified: true,
          offset: events.length,
        });
        expect(shown(rig)).toEqual(["Voilà"]);
      }
    }
  });
});

describe("feed", () => {
  const row = (version: number, more: object = {}) => ({
    type: "request",
    request: { request_id: "r", version, status: "running", agent: "a", ...more },
  });

  it("holds the higher version, whatever comes first, and tells of news once", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const news: number[] = [];
    rig.client.feed.onRow((each) => news.push(each.type === "request" ? each.request.version : -1));
    await say(
      socket,
      { type: "feed", next: "1-0.aa", events: [row(2)] },
      { type: "feed", next: "2-0.aa", events: [row(1)] },
    );
    rig.client.feed.learn([rig.client.feed.requests.get().get("r")!]);
    expect(rig.client.feed.requests.get().get("r")?.version).toBe(2);
    expect(rig.client.feed.ready.get()).toBe(true);
    expect(news).toEqual([2]);
    expect((await rig.reconnect()).last("watch")).toMatchObject({ cursor: "2-0.aa" });
  });

  it("believes a log that was put back from a copy, though its versions are lower", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    await say(socket, { type: "feed", next: "9-0.aa", events: [row(9, { title: "later" })] });
    await say(socket, { type: "feed", next: "3-0.aa", reset: "ahead", events: [row(3, { title: "copy" })] });
    expect(rig.client.feed.requests.get().get("r")).toMatchObject({ version: 3, title: "copy" });
    await say(socket, { type: "feed", next: "4-0.aa", events: [row(2)] });
    expect(rig.client.feed.requests.get().get("r")?.version).toBe(3);
  });

  it("asks what has become of running requests that a snapshot does not name", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    await say(socket, { type: "feed", next: "1-0.aa", events: [row(2)] });
    await say(socket, { type: "feed", next: "1-0.bb", reset: "unknown_epoch", events: [] });
    expect(socket.last("probe")).toMatchObject({ request_ids: ["r"] });
    const probed = [{ request_id: "r", state: "ended", status: "completed" }];
    await say(socket, { type: "probed", ref: socket.last("probe").ref, requests: probed });
    expect(rig.client.feed.requests.get().get("r")?.status).toBe("completed");
  });
});
