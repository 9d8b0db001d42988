/**
 * The shell around a Session: one WebSocket at a time, kept alive, replaced when it is lost.
 *
 * Whether to try again is read from one table (CLOSE_CODES); what it does not list is a lost network and is tried again.
 * So is 1000: this server never says it, and what stands between has no say in whether a person wants their answers.
 */
import { Backoff } from "./backoff.ts";
import type { Happening } from "./happenings.ts";
import { OFFLINE_CHECK_MS, Pulse } from "./pulse.ts";
import { Cell } from "./readable.ts";
import { ServerClock } from "./server_clock.ts";
import type { Session } from "./session.ts";
import type { ConnectionState, Phase } from "./state.ts";
import type { Surroundings, Timers } from "./surroundings.ts";
import { CLOSE_CODES, SUBPROTOCOL, type WelcomeReply } from "./wire.gen.ts";

/** From the first packet to the welcome; longer than a slow phone network needs. */
export const OPEN_DEADLINE_MS = 10_000;

/** An opening that is under way for longer when the network comes is begun anew: its first packets may have gone nowhere. */
export const STALE_OPENING_MS = 2_000;

/** The longest wait that a server may ask for. */
export const ASKED_WAIT_MS_MAX = 120_000;

export interface ConnectionOptions {
  readonly url: () => string;
  /** Who is taken to be here until the first welcome. */
  readonly user: string;
  readonly session: Session;
  readonly WebSocket: typeof WebSocket;
  readonly random: () => number;
  readonly now: () => number;
  readonly timers: Timers;
  readonly surroundings: Surroundings;
  readonly happened: (happenings: readonly Happening[]) => void;
}

const IDLE: ConnectionState = {
  phase: "idle",
  retryAt: null,
  tries: 0,
  reason: "",
  code: null,
  needsToken: false,
  draining: false,
  durable: true,
  user: "",
  server: "",
  operator: false,
  limits: {},
  unsent: 0,
  since: 0,
};

export class Connection {
  readonly state: Cell<ConnectionState>;
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  #socket: WebSocket | null = null;
  #timer: unknown = null;
  #stopListening: (() => void) | null = null;
  #openingAt = 0;
  #welcomedAt: number | null = null;
  #askedWaitMs = 0;
  readonly #clock = new ServerClock();
  readonly #pulse: Pulse;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#pulse = new Pulse({
      now: options.now,
      timers: options.timers,
      ping: () => this.#ping(),
      dead: (reason) => this.#lost(1006, reason),
    });
    this.state = new Cell({ ...IDLE, user: options.user, since: options.now() });
  }

  /** How far the server's clock is ahead of this machine's, in ms, as last measured. */
  get clockAheadMs(): number {
    return this.#clock.aheadMs;
  }

  start(): void {
    if (this.#stopListening) return;
    this.#stopListening = this.#options.surroundings.listen({
      online: () => this.#networkBack(),
      shown: () => this.#wake(),
      offline: () => this.#networkGone(),
    });
    this.#connect();
  }

  /** Say goodbye and end; running answers go on. */
  close(): void {
    this.#stopListening?.();
    this.#stopListening = null;
    this.#leave(1000);
    this.#set("closed", { retryAt: null, reason: "" });
  }

  /** Try now, whatever it waits for. */
  retryNow(): void {
    const { phase } = this.state.get();
    if (phase === "waiting" || phase === "offline" || phase === "refused") this.#connect();
    else if (phase === "online") this.#pulse.check();
  }

  /** Begin again, as somebody else or with another token. */
  renew(): void {
    const { phase } = this.state.get();
    if (phase === "idle" || phase === "closed") return;
    this.#leave(1000);
    this.#connect();
  }

  /** Send what the session has to send. */
  flush(): void {
    const socket = this.#socket;
    if (socket?.readyState !== 1) return;
    for (const frame of this.#options.session.frames()) socket.send(frame);
  }

  /** Note facts that others know: how many submits wait, whether they would outlive the page, whether the server is about
   * to restart. */
  note(facts: Partial<Pick<ConnectionState, "unsent" | "durable" | "draining">>, askedWaitMs = 0): void {
    this.#askedWaitMs = Math.max(this.#askedWaitMs, Math.min(askedWaitMs, ASKED_WAIT_MS_MAX));
    this.#set(this.state.get().phase, facts);
  }

  // -- coming and going

  #connect(): void {
    const { timers, now, session } = this.#options;
    this.#leave(1000);
    this.#set("connecting", { retryAt: null, needsToken: false });
    let socket: WebSocket;
    try {
      socket = new this.#options.WebSocket(this.#options.url(), SUBPROTOCOL);
    } catch (error) {
      this.#refused(
        null,
        `This address cannot be connected to: ${error instanceof Error ? error.message : error}`,
      );
      return;
    }
    this.#socket = socket;
    this.#openingAt = now();
    const mine = () => this.#socket === socket;
    socket.onopen = () => {
      if (!mine()) return;
      session.connected();
      this.flush();
    };
    socket.onmessage = (event: MessageEvent) => {
      if (mine()) this.#received(event.data);
    };
    socket.onclose = (event: CloseEvent) => {
      if (mine()) this.#lost(event.code, event.reason);
    };
    this.#timer = timers.set(() => {
      if (mine()) this.#lost(1006, "The server does not answer.");
    }, OPEN_DEADLINE_MS);
  }

  /** Be without a socket. What the old one still says is not heard any more. */
  #leave(code: number): void {
    const { timers, session } = this.#options;
    timers.clear(this.#timer);
    this.#timer = null;
    this.#pulse.end();
    this.#welcomedAt = null;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close(code);
    } catch {
      // It was closed already, or is of a platform that takes no code here; either way it is not ours any more.
    }
    session.disconnected();
  }

  #lost(code: number, said: string): void {
    const { now, timers, surroundings } = this.#options;
    if (this.#welcomedAt !== null) this.#backoff.lasted(now() - this.#welcomedAt);
    const wasThere = this.#welcomedAt !== null;
    this.#leave(1000);
    const entry = CLOSE_CODES[String(code)];
    if (entry && !entry.reconnect && code !== NORMAL) {
      this.#refused(code, entry.meaning);
      return;
    }
    const waitMs = this.#backoff.next(this.#askedWaitMs);
    this.#askedWaitMs = 0;
    const offline = surroundings.offline();
    this.#set(offline ? "offline" : "waiting", {
      retryAt: now() + waitMs,
      tries: this.#backoff.failures,
      reason: offline ? OFFLINE : reasonFor(code, code === NORMAL ? "" : (entry?.meaning ?? said), wasThere),
      code,
      draining: false,
    });
    this.#timer = timers.set(() => this.#connect(), waitMs);
  }

  #refused(code: number | null, reason: string): void {
    this.#leave(1000);
    this.#set("refused", { retryAt: null, reason, code, needsToken: code === 4401, draining: false });
  }

  /** The page is looked at again, or thawed. */
  #wake(): void {
    const { phase } = this.state.get();
    if (phase === "waiting" || phase === "offline") this.#connect();
    else this.#pulse.check();
  }

  #networkBack(): void {
    const stale = this.#options.now() - this.#openingAt > STALE_OPENING_MS;
    if (this.state.get().phase === "connecting" && stale) this.#connect();
    else this.#wake();
  }

  /** The browser says so. It may be wrong (it knows nothing of this machine's own servers), so ask. */
  #networkGone(): void {
    if (this.state.get().phase === "waiting") this.#set("offline", { reason: OFFLINE });
    else this.#pulse.check(OFFLINE_CHECK_MS);
  }

  // -- what arrives

  #received(data: unknown): void {
    this.#pulse.heard();
    const happenings = this.#options.session.receive(data);
    for (const happening of happenings) {
      if (happening.type === "welcomed") this.#welcomed(happening.welcome);
      else if (happening.type === "alive") {
        this.#clock.answered(happening.pong.at, this.#options.now());
        this.#pulse.answered();
      } else if (happening.type === "complained" && happening.error.code === "unauthenticated") {
        this.#refused(4401, happening.error.message);
        return;
      }
    }
    this.flush();
    this.#options.happened(happenings);
    this.flush();
  }

  #welcomed(welcome: WelcomeReply): void {
    const { timers, now } = this.#options;
    timers.clear(this.#timer);
    this.#welcomedAt = now();
    this.#askedWaitMs = 0;
    const { server, user, limits, operator, draining } = welcome;
    this.#set("online", {
      server,
      user,
      limits,
      operator,
      draining,
      tries: 0,
      reason: "",
      code: null,
      retryAt: null,
    });
    this.#clock.renew();
    this.#pulse.begin(Math.max(1, welcome.heartbeat_s) * 1000);
  }

  #ping(): void {
    this.#clock.asked(this.#options.now());
    this.#options.session.ping();
    this.flush();
  }

  #set(phase: Phase, facts: Partial<ConnectionState>): void {
    const before = this.state.get();
    const since = phase === before.phase ? before.since : this.#options.now();
    const news =
      phase !== before.phase ||
      Object.entries(facts).some(([key, value]) => before[key as keyof ConnectionState] !== value);
    if (!news) return;
    this.state.set({ ...before, ...facts, phase, since });
  }
}

/** The close code that this server never gives. */
const NORMAL = 1000;

const OFFLINE = "This device is offline.";

function reasonFor(code: number, said: string, wasThere: boolean): string {
  if (code === 1012) return "The server is restarting.";
  if (code === 1005 || code === 1006)
    return said || (wasThere ? "The connection was lost." : "The server cannot be reached.");
  return said || "The connection was lost.";
}
