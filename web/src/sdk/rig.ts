/** What the tests of the client stand on: sockets that a test speaks through, and a clock that it moves. */
import { Client } from "./client.ts";
import type { ClientOptions } from "./options.ts";
import type { Timers } from "./surroundings.ts";

export type Frame = { readonly type: string; readonly ref?: number; readonly [field: string]: unknown };

/** A WebSocket whose other end is the test. */
export class FakeSocket {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  readonly sent: Frame[] = [];
  closedWith: number | null = null;

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Frame);
  }

  close(code: number): void {
    this.readyState = 3;
    this.closedWith = code;
  }

  /** The other end accepts. */
  open(): void {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.onopen?.();
  }

  /** The other end says something. */
  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** The connection ends. */
  end(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** What was sent of one type, in order. */
  all(type: string): Frame[] {
    return this.sent.filter((frame) => frame.type === type);
  }

  last(type: string): Frame {
    const frame = this.all(type).at(-1);
    if (!frame) throw new Error(`no ${type} was sent, but ${this.sent.map((each) => each.type).join(", ")}`);
    return frame;
  }
}

/** Time as the test has it. */
export class Clock implements Timers {
  nowMs = 1_760_000_000_000;
  #timers = new Map<number, { readonly at: number; readonly run: () => void }>();
  #last = 0;

  set(run: () => void, waitMs: number): unknown {
    this.#timers.set(++this.#last, { at: this.nowMs + waitMs, run });
    return this.#last;
  }

  clear(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  /** Timers that are set. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Let time pass, timer by timer. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const next = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!next) break;
      this.#timers.delete(next[0]);
      this.nowMs = Math.max(this.nowMs, next[1].at);
      next[1].run();
    }
    this.nowMs = end;
  }

  /** Somebody sets the clock back; timers go on as they were. */
  turnBack(ms: number): void {
    this.nowMs -= ms;
    for (const [id, { at, run }] of this.#timers) this.#timers.set(id, { at: at - ms, run });
  }

  /** Sleep as a laptop does: no timer runs meanwhile, and what was due runs once it wakes. */
  sleep(ms: number): void {
    this.nowMs += ms;
    this.advance(0);
  }
}

/** The network and the page, as the test has them. */
export class World {
  isOffline = false;
  told: { online(): void; offline(): void; shown(): void } | null = null;
  offline = (): boolean => this.isOffline;
  listen = (told: { online(): void; offline(): void; shown(): void }): (() => void) => {
    this.told = told;
    return () => {
      this.told = null;
    };
  };
}

export const WELCOME = {
  type: "welcome",
  server: "test",
  user: "u",
  heartbeat_s: 20,
  limits: { subscriptions: 500 },
};

/** A client whose server is the test. */
export class Rig {
  readonly sockets: FakeSocket[] = [];
  readonly clock = new Clock();
  readonly world = new World();
  readonly client: Client;
  /** What the next dice show. */
  random = 0.5;

  constructor(options: Partial<ClientOptions> = {}) {
    const { sockets } = this;
    class Socket extends FakeSocket {
      constructor() {
        super();
        sockets.push(this);
      }
    }
    this.client = new Client({
      url: "ws://test/ws",
      WebSocket: Socket as unknown as typeof WebSocket,
      now: () => this.clock.nowMs,
      random: () => this.random,
      timers: this.clock,
      surroundings: this.world,
      ...options,
    });
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  /** Open the newest socket and greet. */
  async greet(welcome: object = {}): Promise<FakeSocket> {
    const { socket } = this;
    socket.open();
    socket.say({ ...WELCOME, ref: socket.last("hello").ref, ...welcome });
    await settle();
    return socket;
  }

  /** Start and be greeted. */
  async online(welcome: object = {}): Promise<FakeSocket> {
    this.client.start();
    await settle();
    return this.greet(welcome);
  }

  /** Lose the connection, and be back with the next one. */
  async reconnect(): Promise<FakeSocket> {
    this.socket.end();
    this.clock.advance(30_000);
    return this.greet();
  }
}

/** Let what is under way without a timer come to its end. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
}

export const ACCEPTED = {
  type: "accepted",
  at: 1,
  nonce: "0a0a0a0a",
  agent: "demo",
  chat_id: "c",
  message_id: "m",
};
export const STARTED = { type: "started", at: 2, attempt: 1, term: 1, nonce: "0b0b0b0b" };
export const PART = { type: "part_started", at: 3, part: 0, kind: "text" };
export const delta = (text: string, span = 1) => ({ type: "delta", at: 4, span, part: 0, text });

/** A page from `start` whose spans are right. */
export function page(requestId: string, start: number, ...events: object[]): Frame {
  const spans = events.reduce((sum, event) => sum + ((event as { span?: number }).span ?? 1), 0);
  return { type: "page", request_id: requestId, start, next: `${start + spans}-1.0b0b0b0b`, events };
}
