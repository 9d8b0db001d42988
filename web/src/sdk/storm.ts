/**
 * A server and a network for a long random test: answers grow, are tried again and end; connections are slow, break, or
 * fall silent without a word; the server restarts. All dice come from one seed.
 */
import { parseEvent } from "./decode.ts";
import { Fold } from "./fold.ts";
import { type Clock, type FakeSocket, type Frame, WELCOME } from "./rig.ts";
import type { Event } from "./wire.gen.ts";

/** Numbers from 0 up to 1, always the same for one seed (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One request as the server has it. */
export interface Job {
  readonly id: string;
  readonly chat: string;
  readonly body: string;
  readonly log: Frame[];
  readonly fold: Fold;
  /** What each attempt has written. */
  readonly texts: string[];
  version: number;
  ended: boolean;
}

interface Link {
  readonly socket: FakeSocket;
  readonly follows: Map<string, number>;
  feed: number | null;
  /** How many of the client's frames have been taken off it. */
  taken: number;
  /** When the last frame of each direction is to arrive: none overtakes another. */
  thereAt: number;
  hereAt: number;
  /** Nothing arrives any more, and nobody is told. */
  silent: boolean;
}

const WORDS = ["Lorem ", "ipsum ", "dölör ", "sit ", "amet, ", "👩‍🚀 ", "consectetur\n"];
const NONCE = "0b0b0b0b";

export class Storm {
  readonly jobs = new Map<string, Job>();
  /** Ids in the order in which they were accepted. */
  readonly accepted: string[] = [];
  /** Submits of a known id whose content was another. */
  conflicts = 0;
  calm = false;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #links = new Map<FakeSocket, Link>();
  readonly #feed: object[] = [];
  #downUntil = 0;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A client opens a connection. */
  meet(socket: FakeSocket): void {
    if (this.#links.has(socket)) return;
    const nothing = { taken: 0, thereAt: 0, hereAt: 0, silent: false };
    this.#links.set(socket, { socket, follows: new Map(), feed: null, ...nothing });
    this.#clock.set(() => {
      if (this.#clock.nowMs < this.#downUntil) this.#drop(socket, 1006);
      else socket.open();
    }, this.#delay());
  }

  /** Take what clients have sent onto the wire. */
  carry(): void {
    for (const link of this.#links.values()) {
      const { socket } = link;
      if (socket.readyState === 3 && socket.closedWith !== null) this.#links.delete(socket);
      for (; link.taken < socket.sent.length; link.taken++) {
        const frame = socket.sent[link.taken]!;
        link.thereAt = Math.max(link.thereAt, this.#clock.nowMs + this.#delay());
        this.#clock.set(() => {
          if (!link.silent && this.#links.get(socket) === link) this.#take(link, frame);
        }, link.thereAt - this.#clock.nowMs);
      }
    }
  }

  /** Something goes wrong. */
  trouble(): void {
    const links = [...this.#links.values()];
    const link = links[Math.floor(this.#random() * links.length)];
    const what = this.#random();
    if (what < 0.1) {
      this.#downUntil = this.#clock.nowMs + this.#random() * 20_000;
      for (const each of links) this.#drop(each.socket, what < 0.05 ? 1012 : 1006);
    } else if (link && what < 0.6) this.#drop(link.socket, what < 0.2 ? 1000 : 1006);
    else if (link && what < 0.75) link.silent = true;
  }

  /** Answers go on. */
  work(): void {
    for (const job of this.jobs.values()) {
      if (job.ended || this.#random() < 0.5) continue;
      const luck = this.#random();
      const attempt = job.texts.length;
      if (attempt === 0 || (luck < 0.04 && attempt < 4 && !this.calm)) {
        job.texts.push("");
        const keep = attempt === 0 ? {} : { keep: "none", reason: "retry" };
        this.#log(job, { type: "started", at: 2, attempt: attempt + 1, term: 1, nonce: NONCE, ...keep });
        this.#log(job, { type: "part_started", at: 3, part: 0, kind: "text" });
      } else if (luck < 0.12 && job.texts.at(-1) !== "") {
        this.#log(job, { type: "part_done", at: 5, part: 0 });
        this.#end(job, "completed");
      } else {
        const text = WORDS[Math.floor(this.#random() * WORDS.length)]!;
        job.texts[attempt - 1] += text;
        this.#log(job, { type: "delta", at: 4, part: 0, text });
      }
    }
    for (const link of this.#links.values()) this.#tell(link);
  }

  // -- what clients ask

  #take(link: Link, frame: Frame): void {
    const { type, ref } = frame;
    const put = !this.calm && this.#random() < 0.08 && ["submit", "subscribe", "watch"].includes(type);
    if (put) {
      const code = this.#random() < 0.5 ? "overloaded" : "rate_limited";
      this.#say(link, { type: "error", ref, code, message: "", retryable: true, retry_after_ms: 500 });
      return;
    }
    const id = (frame.request_id as string | undefined) ?? "";
    switch (type) {
      case "hello":
        this.#say(link, { ...WELCOME, ref });
        return;
      case "ping":
        this.#say(link, { type: "pong", ref, at: this.#clock.nowMs });
        return;
      case "submit":
        this.#submit(link, frame);
        return;
      case "subscribe":
        this.#subscribe(link, frame);
        return;
      case "unsubscribe":
        link.follows.delete(id);
        this.#say(link, { type: "done", ref });
        return;
      case "watch":
        link.feed = frame.cursor ? Number.parseInt(frame.cursor as string, 10) : 0;
        this.#say(link, { type: "watching", ref });
        return;
      case "cancel":
        this.#cancel(link, frame);
        return;
      default:
        this.#say(link, { type: "error", ref, code: "unknown_command", message: "" });
    }
  }

  #cancel(link: Link, { ref, request_id: id }: Frame): void {
    const job = this.jobs.get(id as string);
    if (!job) {
      this.#say(link, { type: "error", ref, code: "unknown_request", message: "" });
      return;
    }
    const won = !job.ended;
    if (won) this.#end(job, "cancelled");
    this.#say(link, { type: "cancel_result", ref, won, status: job.fold.status });
  }

  #submit(link: Link, frame: Frame): void {
    const request = frame.request as { request_id: string; chat_id: string };
    const { request_id: id, chat_id: chat } = request;
    const body = JSON.stringify(request);
    let job = this.jobs.get(id);
    const created = !job;
    if (!job) {
      job = { id, chat, body, log: [], fold: new Fold(), texts: [], version: 0, ended: false };
      this.jobs.set(id, job);
      this.accepted.push(id);
      const accepted = {
        type: "accepted",
        at: 1,
        nonce: NONCE,
        agent: "demo",
        chat_id: chat,
        message_id: `m-${id}`,
      };
      this.#log(job, accepted);
    } else if (job.body !== body) this.conflicts++;
    this.#say(link, {
      type: "submitted",
      ref: frame.ref,
      request_id: id,
      chat_id: chat,
      created,
      cursor: cursor(0),
    });
    if (!frame.follow) return;
    if (created) link.follows.set(id, 0);
    else this.#snapshot(link, job, "start");
  }

  #subscribe(link: Link, frame: Frame): void {
    const { ref } = frame;
    const job = this.jobs.get(frame.request_id as string);
    if (!job) {
      this.#say(link, { type: "error", ref, code: "unknown_request", message: "" });
      return;
    }
    const at = frame.cursor ? Number.parseInt(frame.cursor as string, 10) : null;
    const dropped = job.log.findLastIndex((event) => event.keep === "none");
    const reset = at === null ? "start" : at <= dropped && at > 1 ? "superseded" : null;
    const { status } = job.fold;
    this.#say(link, { type: "subscribed", ref, request_id: job.id, status, ...(reset ? { reset } : {}) });
    if (reset) this.#snapshot(link, job, reset);
    else {
      link.follows.set(job.id, at!);
      this.#pages(link, job);
    }
  }

  // -- what it tells

  #snapshot(link: Link, job: Job, reason: string): void {
    const { length } = job.log;
    const text = job.texts.at(-1);
    const first = job.log[0]!;
    const events: object[] = [first];
    if (text !== undefined) {
      events.push(job.log.findLast((event) => event.type === "started")!);
      events.push({ type: "part_started", at: 3, part: 0, kind: "text" });
      if (text) events.push({ type: "delta", at: 4, part: 0, text });
      if (job.log.at(-2)?.type === "part_done") events.push(job.log.at(-2)!);
    }
    if (job.ended) events.push(job.log.at(-1)!);
    const told = events.map((event, index) => {
      const { keep: _, reason: __, ...rest } = event as Frame;
      return { ...rest, span: index === events.length - 1 ? length : 0 };
    });
    this.#say(link, { type: "snapshot", request_id: job.id, reason });
    this.#say(link, { type: "page", request_id: job.id, start: 0, next: cursor(length), events: told });
    link.follows.set(job.id, length);
    this.#caughtUp(link, job);
  }

  /** What is new of one request, neighbouring deltas merged. */
  #pages(link: Link, job: Job): void {
    const from = link.follows.get(job.id)!;
    const news = job.log.slice(from);
    if (news.length > 0) {
      const events: Frame[] = [];
      for (const event of news) {
        const last = events.at(-1);
        if (event.type === "delta" && last?.type === "delta") {
          const span = (last.span as number) + 1;
          events[events.length - 1] = { ...last, text: `${last.text}${event.text}`, span };
        } else events.push({ ...event, span: 1 });
      }
      const next = cursor(job.log.length);
      this.#say(link, { type: "page", request_id: job.id, start: from, next, events });
      link.follows.set(job.id, job.log.length);
    }
    this.#caughtUp(link, job);
  }

  #caughtUp(link: Link, job: Job): void {
    const { fold } = job;
    const { parts, bytes, crc: digest } = fold.digest();
    const told = { parts, bytes, digest, sealed: fold.sealed };
    this.#say(link, { type: "caught_up", request_id: job.id, cursor: cursor(job.log.length), ...told });
    if (fold.sealed) link.follows.delete(job.id);
  }

  #tell(link: Link): void {
    for (const [id, at] of [...link.follows]) {
      const job = this.jobs.get(id)!;
      if (job.log.length > at) this.#pages(link, job);
    }
    if (link.feed === null || link.feed >= this.#feed.length) return;
    const events = this.#feed.slice(link.feed);
    link.feed = this.#feed.length;
    this.#say(link, { type: "feed", next: cursor(link.feed), events });
  }

  // -- what happens to it

  #log(job: Job, event: Frame): void {
    job.log.push(event);
    job.fold.apply(parseEvent(event) as Event);
    if (event.type === "delta" || event.type.startsWith("part")) return;
    const status = event.type === "accepted" ? "queued" : event.type === "started" ? "running" : event.type;
    const request = { request_id: job.id, version: ++job.version, status, agent: "demo", chat_id: job.chat };
    this.#feed.push({ type: "request", request });
  }

  #end(job: Job, type: string): void {
    job.ended = true;
    this.#log(job, { type, at: 6, code: type === "completed" ? "stop" : "user" });
  }

  #say(link: Link, frame: object): void {
    const { socket } = link;
    link.hereAt = Math.max(link.hereAt, this.#clock.nowMs + this.#delay());
    this.#clock.set(() => {
      if (!link.silent && this.#links.get(socket) === link) socket.say(frame);
    }, link.hereAt - this.#clock.nowMs);
  }

  #drop(socket: FakeSocket, code: number): void {
    this.#links.delete(socket);
    socket.end(code);
  }

  #delay(): number {
    const luck = this.#random();
    return this.calm || luck < 0.5 ? 1 : luck < 0.95 ? luck * 200 : luck * 4_000;
  }
}

function cursor(offset: number): string {
  return `${offset}-1.${NONCE}`;
}
