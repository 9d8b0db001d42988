/** Staying connected: back-off, close codes, silence, sleep, and waking up. */
import { describe, expect, it } from "vitest";
import { Backoff } from "./backoff.ts";
import { Rig, settle } from "./rig.ts";
import { newId, websocketUrl } from "./surroundings.ts";

const state = (rig: Rig) => rig.client.connection.get();

describe("back-off", () => {
  it("doubles up to its bound, from nothing to all of it, and forgives after a connection that held", () => {
    const most = new Backoff(() => 1);
    expect(Array.from({ length: 9 }, () => most.next())).toEqual([
      250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000,
    ]);
    expect(new Backoff(() => 0).next()).toBe(0);
    expect(most.next(5_000)).toBe(35_000);
    most.lasted(9_999);
    expect(most.next()).toBe(30_000);
    most.lasted(10_000);
    expect(most.next()).toBe(250);
  });
});

describe("connection", () => {
  it("tries again after the wait, and says what it waits for", async () => {
    const rig = new Rig();
    rig.client.start();
    rig.socket.end();
    expect(state(rig)).toMatchObject({
      phase: "waiting",
      tries: 1,
      retryAt: rig.clock.nowMs + 125,
      reason: "The server cannot be reached.",
    });
    rig.clock.advance(124);
    expect(rig.sockets).toHaveLength(1);
    rig.clock.advance(1);
    expect(rig.sockets).toHaveLength(2);
    await rig.greet();
    expect(state(rig)).toMatchObject({ phase: "online", tries: 0, reason: "", server: "test", user: "u" });
  });

  it.each([1000, 1001, 1005, 1006, 1011, 1012, 1013, 4408, 4410, 4429, 4999])(
    "reconnects after %i",
    async (code) => {
      const rig = new Rig();
      (await rig.online()).end(code);
      expect(state(rig)).toMatchObject({ phase: "waiting", code });
    },
  );

  it.each([1002, 1003, 1007, 1009, 4400, 4403, 4406])(
    "does not reconnect by itself after %i",
    async (code) => {
      const rig = new Rig();
      (await rig.online()).end(code);
      rig.clock.advance(600_000);
      rig.world.told?.shown();
      expect(state(rig)).toMatchObject({ phase: "refused", code, needsToken: false });
      expect(rig.sockets).toHaveLength(1);
      rig.client.retryNow();
      expect(rig.sockets).toHaveLength(2);
    },
  );

  it("asks for a token where that is what is missing, and goes on with it", async () => {
    const rig = new Rig();
    rig.client.start();
    rig.socket.open();
    rig.socket.end(4401);
    expect(state(rig)).toMatchObject({ phase: "refused", needsToken: true });
    rig.client.setToken("new");
    const socket = await rig.greet();
    expect(socket.last("hello")).toMatchObject({ token: "new" });
    expect(state(rig)).toMatchObject({ phase: "online", needsToken: false });
  });

  it.each(["online", "shown"] as const)("connects at once when told: %s", async (word) => {
    const rig = new Rig({ random: () => 1 });
    const socket = await rig.online();
    rig.world.isOffline = true;
    socket.end();
    expect(state(rig).phase).toBe("offline");
    rig.world.isOffline = false;
    rig.world.told?.[word]();
    expect(rig.sockets).toHaveLength(2);
  });

  it("gives up a connection that is not greeted in time", async () => {
    const rig = new Rig();
    rig.client.start();
    rig.socket.open();
    rig.clock.advance(10_000);
    expect(state(rig).phase).toBe("waiting");
    expect(rig.sockets[0]!.closedWith).toBe(1000);
  });

  it("asks for a sign of life after a heartbeat of silence, and drops the connection after two", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const before = socket.all("ping").length;
    rig.clock.advance(19_999);
    expect(socket.all("ping")).toHaveLength(before);
    rig.clock.advance(1);
    expect(socket.all("ping")).toHaveLength(before + 1);
    rig.clock.advance(19_999);
    expect(state(rig).phase).toBe("online");
    rig.clock.advance(1);
    expect(state(rig).phase).toBe("waiting");
  });

  it("keeps a connection whose pings are answered", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    for (let beat = 0; beat < 10; beat++) {
      rig.clock.advance(20_000);
      socket.say({ type: "pong", ref: socket.last("ping").ref, at: rig.clock.nowMs });
    }
    expect(state(rig).phase).toBe("online");
    expect(rig.sockets).toHaveLength(1);
  });

  it("checks at once after the machine slept, and drops what does not answer", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const before = socket.all("ping").length;
    rig.clock.sleep(3_600_000);
    expect(socket.all("ping")).toHaveLength(before + 1);
    expect(state(rig).phase).toBe("online");
    rig.clock.advance(3_000);
    expect(state(rig).phase).toBe("waiting");
  });

  it("asks at once when the browser says that there is no network, and believes the server more", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    socket.say({ type: "pong", ref: socket.last("ping").ref, at: 1 });
    rig.world.isOffline = true;
    rig.world.told?.offline();
    socket.say({ type: "pong", ref: socket.last("ping").ref, at: 1 });
    rig.clock.advance(10_000);
    expect(state(rig).phase).toBe("online");
    rig.world.told?.offline();
    rig.clock.advance(1_500);
    expect(state(rig)).toMatchObject({ phase: "offline", reason: "This device is offline." });
    rig.world.isOffline = false;
    rig.world.told?.online();
    expect(rig.sockets).toHaveLength(2);
  });

  it("takes nothing for a sign of life after waking but the answer to its ping, or more and more", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    socket.say({ type: "pong", ref: socket.last("ping").ref, at: 1 });
    rig.world.told?.shown();
    socket.say({ type: "notice", kind: "storage" }); // was taken in before
    rig.clock.advance(3_000);
    expect(state(rig).phase).toBe("online");
    rig.clock.advance(3_000);
    expect(state(rig).phase).toBe("waiting");
  });

  it("finds out that a connection is dead although the clock was set back meanwhile", async () => {
    const rig = new Rig();
    await rig.online();
    rig.clock.turnBack(3_600_000);
    rig.clock.advance(24_000);
    expect(rig.sockets.length).toBeGreaterThan(1);
  });

  it("begins an opening anew that the coming network found under way for long", async () => {
    const rig = new Rig();
    rig.client.start();
    rig.clock.advance(1_000);
    rig.world.told?.online();
    expect(rig.sockets).toHaveLength(1);
    rig.clock.advance(5_000);
    rig.world.told?.online();
    expect(rig.sockets).toHaveLength(2);
  });

  it("does not wait at the next loss for what the server asked before this connection", async () => {
    const rig = new Rig({ random: () => 0 });
    const socket = await rig.online();
    socket.say({ type: "notice", kind: "draining", retry_after_ms: 60_000 });
    rig.client.setToken("another");
    (await rig.greet()).end();
    rig.clock.advance(0);
    expect(rig.sockets).toHaveLength(3);
  });

  it("does not hear a socket any more that it gave up", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const { onclose } = socket;
    rig.clock.advance(40_000);
    rig.clock.advance(30_000);
    await rig.greet();
    onclose?.({ code: 4403, reason: "" });
    expect(state(rig).phase).toBe("online");
  });

  it("says that the server will restart, and waits at least as long as it asks", async () => {
    const rig = new Rig({ random: () => 0 });
    const socket = await rig.online();
    socket.say({ type: "notice", kind: "draining", message: "soon", retry_after_ms: 3_000 });
    await settle();
    expect(state(rig).draining).toBe(true);
    expect(rig.client.notices.get()).toMatchObject([{ kind: "draining" }]);
    socket.end(1012);
    rig.clock.advance(2_999);
    expect(rig.sockets).toHaveLength(1);
    rig.clock.advance(1);
    expect(rig.sockets).toHaveLength(2);
  });

  it("knows the server's clock from its answers", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    rig.clock.advance(100);
    socket.say({ type: "pong", ref: socket.last("ping").ref, at: rig.clock.nowMs + 5_000 });
    expect(rig.client.now() - rig.clock.nowMs).toBe(5_050);
  });

  it("is quiet about frames that it does not know", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    socket.say({ type: "hologram", request_id: "r" });
    socket.onmessage?.({ data: "{" });
    socket.onmessage?.({ data: new ArrayBuffer(2) });
    expect(state(rig).phase).toBe("online");
  });

  it("ends when it is closed", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    rig.client.close();
    rig.clock.advance(600_000);
    expect(socket.closedWith).toBe(1000);
    expect(rig.sockets).toHaveLength(1);
    expect(state(rig).phase).toBe("closed");
    expect(rig.world.told).toBeNull();
  });
});

describe("addresses and ids", () => {
  it("takes what people write for an address", () => {
    expect(websocketUrl("http://127.0.0.1:8080")).toBe("ws://127.0.0.1:8080/ws");
    expect(websocketUrl("https://chat.example.org/ws")).toBe("wss://chat.example.org/ws");
    expect(() => websocketUrl("ftp://x")).toThrow(TypeError);
  });

  it("makes ids that sort by time and fit the protocol's grammar", () => {
    const ids = [1_000, 1_760_000_000_000, 1_760_000_000_001].map((ms) => newId(ms));
    expect(ids.toSorted()).toEqual(ids);
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
