/** The client: one connection, any number of chats and answers over it, and what waits to be sent. */
import { Answer, type AnswerHost } from "./answer.ts";
import { Calls } from "./calls.ts";
import { Connection } from "./connection.ts";
import { CommandError } from "./errors.ts";
import { Feed } from "./feed.ts";
import { Followings } from "./followings.ts";
import type { Happening } from "./happenings.ts";
import type { CallOptions, ClientOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { memoryOutbox } from "./outbox_store.ts";
import { type Batch, Cell, type Readable } from "./readable.ts";
import { Session } from "./session.ts";
import { Shelf } from "./shelf.ts";
import type { CancelResult, ConnectionState, NoticeRow, OutboxEntry, SubmissionInput } from "./state.ts";
import { newId, platformSurroundings, platformTimers, type Timers, websocketUrl } from "./surroundings.ts";
import { type CommandType, type FieldsOf, LIMITS, type NoticePush, type ReplyOf } from "./wire.gen.ts";

/** Notices that are kept for whoever looks later; they are safe to lose. */
export const NOTICES_MAX = 20;

export class Client {
  readonly connection: Readable<ConnectionState>;
  readonly feed: Feed;
  readonly outbox: Readable<readonly OutboxEntry[]>;
  readonly notices: Readable<readonly NoticeRow[]>;
  readonly #session: Session;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #calls: Calls;
  readonly #shelf = new Shelf();
  readonly #followings: Followings;
  readonly #host: AnswerHost;
  readonly #entries = new Cell<readonly OutboxEntry[]>([]);
  readonly #notices = new Cell<readonly NoticeRow[]>([]);
  readonly #dirty = new Set<Answer>();
  readonly #batch: Batch;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #timers: Timers;
  #phase: ConnectionState["phase"] = "idle";
  #dirtyOutbox = false;
  #scheduled = false;
  #started = false;
  #closed = false;

  /** Nothing is connected until `start`. Throws TypeError if `url` is no address. */
  constructor(options: ClientOptions = {}) {
    this.#now = options.now ?? (() => Date.now());
    this.#random = options.random ?? Math.random;
    this.#timers = options.timers ?? platformTimers;
    // Called bare: a browser refuses its own functions when they are called as a method of something else.
    const { batch = (run) => queueMicrotask(run) } = options;
    this.#batch = (run) => batch(run);
    const url = websocketUrl(options.url);
    const { user = "" } = options;
    this.#session = new Session({ token: options.token ?? null, name: options.name ?? "", user });
    this.#connection = new Connection({
      url: () => url,
      user,
      session: this.#session,
      WebSocket: options.WebSocket ?? WebSocket,
      random: this.#random,
      now: this.#now,
      timers: this.#timers,
      surroundings: options.surroundings ?? platformSurroundings,
      happened: (happenings) => {
        for (const happening of happenings) this.#happened(happening);
      },
    });
    this.connection = this.#connection.state;
    this.connection.subscribe(() => this.#connectionChanged());
    this.feed = new Feed(() => this.#schedule());
    this.feed.onRow((row) => {
      if (row.type === "request") this.#shelf.get(row.request.request_id)?.changed();
    });
    this.#calls = new Calls(this.#session, this.#connection, this.#timers);
    this.#outbox = new Outbox({
      store: options.outbox ?? memoryOutbox(),
      owner: user || null,
      now: this.#now,
      random: this.#random,
      timers: this.#timers,
      ready: () => this.#session.ready,
      send: (entry) => this.#send(entry),
      changed: (requestId) => this.#outboxChanged(requestId),
      accepted: (requestId, reply) => {
        const answer = this.#shelf.get(requestId);
        answer?.accepted(reply);
        if (answer?.isHeld) this.#session.follow(answer.follower());
        this.#connection.flush();
      },
      withdrawn: (requestId) => this.#shelf.get(requestId)?.withdrawn(),
      cancel: (requestId) => this.call("cancel", { request_id: requestId }),
    });
    this.#followings = new Followings({
      shelf: this.#shelf,
      session: this.#session,
      timers: this.#timers,
      random: this.#random,
      known: () => this.#outbox.loaded,
      flush: () => this.#connection.flush(),
    });
    this.outbox = this.#entries;
    this.notices = this.#notices;
    this.#host = {
      held: (answer) => this.#followings.held(answer),
      released: (answer) => this.#followings.released(answer),
      schedule: (answer) => {
        this.#dirty.add(answer);
        this.#schedule();
      },
      entry: (requestId) => this.#outbox.entry(requestId),
      row: (requestId) => this.feed.row(requestId),
    };
  }

  // -- the connection

  /** Connect, and stay so. */
  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#session.watch();
    void this.#outbox.start().then(() => this.#followings.outboxKnown());
    this.#connection.start();
  }

  /** Say goodbye for good; requests go on without this client, and what waits to be sent stays in its store. Calls that have
   * had no reply reject with `closed`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
    this.#outbox.close();
    this.#calls.close();
  }

  /** Try to connect now, whatever is being waited for. */
  retryNow(): void {
    this.#connection.retryNow();
  }

  /** Be somebody, or somebody else: connects anew with this token. If the server says that it is another user than before,
   * all that was known, asked and followed is dropped; what the former user had not sent waits in the store for them. */
  setToken(token: string | null): void {
    this.#session.token = token;
    this.#connection.renew();
  }

  /** The server's clock as well as it is known, in ms since 1970: for ages of what the server dates. */
  now(): number {
    return this.#now() + this.#connection.clockAheadMs;
  }

  // -- requests

  /** Ask something. It is kept in the outbox before it is sent; its answer can be shown at once. Ids that are left out are
   * made here. Never throws: what cannot be taken is an answer that was refused. */
  submit(submission: SubmissionInput): Answer {
    const requestId = submission.request_id ?? newId(this.#now());
    const messageId =
      submission.message_id ?? (submission.chat_id && submission.text != null ? newId(this.#now()) : null);
    const answer = this.answer(requestId);
    try {
      this.#outbox.add({
        ...submission,
        request_id: requestId,
        ...(messageId ? { message_id: messageId } : {}),
      });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      answer.refused(error);
    }
    answer.flush();
    return answer;
  }

  /** The answer to a request; the same object for the same id while anybody has it. */
  answer(requestId: string): Answer {
    return this.#shelf.get(requestId) ?? this.#shelf.add(new Answer(requestId, this.#host));
  }

  /** End a request, also one that has not been sent. Rejects with CommandError. */
  async cancel(requestId: string): Promise<CancelResult> {
    if (await this.withdraw(requestId)) return { won: true, status: "cancelled" };
    // It may be on its way: commands take effect in the order in which they are sent, so this ends what that begins. Where
    // another tab sends it, the server may not know it yet.
    for (let entry = this.#outbox.entry(requestId); entry; entry = this.#outbox.entry(requestId)) {
      await this.#entryChange();
      if (await this.withdraw(requestId)) return { won: true, status: "cancelled" };
    }
    const { won, status } = await this.call("cancel", { request_id: requestId });
    return { won, status };
  }

  /** Answer what a request waits for; `digest` is that of the wait. Rejects with CommandError not_waiting where that has changed. */
  async decide(requestId: string, waitId: string, digest: string, decision: unknown): Promise<void> {
    await this.call("decide", { request_id: requestId, wait_id: waitId, digest, decision });
  }

  /** Take back a submit that is not on its way, or was refused; false if it is on its way. One that the server may have
   * nevertheless (a page that is gone may have sent it) is cancelled there. */
  async withdraw(requestId: string): Promise<boolean> {
    return this.#outbox.withdraw(requestId);
  }

  /** Try a refused submit again. */
  retry(requestId: string): void {
    this.#outbox.retry(requestId);
  }

  /** Take back what waits to be sent as whoever is here: they leave this browser. */
  async clearOutbox(): Promise<void> {
    await this.#outbox.clear();
  }

  /** Send any command, and get its reply: over whichever connection, however long that takes, unless `timeoutMs` says
   * otherwise. Rejects with CommandError, or with the signal's reason. */
  call<K extends CommandType>(type: K, fields: FieldsOf<K>, options: CallOptions = {}): Promise<ReplyOf<K>> {
    return this.#calls.call(type, fields, options);
  }

  // -- what happens

  #send(entry: OutboxEntry): void {
    const answer = this.#shelf.get(entry.requestId);
    this.#session.submit(entry.submission, answer?.isHeld ? answer.follower() : null);
    this.#connection.flush();
  }

  #happened(happening: Happening): void {
    switch (happening.type) {
      case "replaced":
        this.#replaced();
        return;
      case "welcomed":
        void this.#outbox.belongTo(happening.welcome.user).then(() => this.#followings.outboxKnown());
        this.#outbox.pump();
        return;
      case "replied":
        this.#calls.replied(happening.ref, happening.reply);
        return;
      case "submitted":
        this.#outbox.answered(happening.requestId, happening.reply);
        return;
      case "changed":
        this.#shelf.get(happening.requestId)?.changed();
        return;
      case "put_off":
        this.#followings.putOff(happening.requestId, happening.tries, happening.waitMs);
        return;
      case "watching":
        if (happening.whole) this.feed.whole();
        return;
      case "fed":
        this.#settle(this.feed.take(happening.push));
        return;
      case "noticed":
        this.#noticed(happening.notice);
        return;
      default:
        return;
    }
  }

  /** What the user before had asked and was told is nobody's here any more. */
  #replaced(): void {
    const error = new CommandError("replaced", "Somebody else signed in before the server answered.");
    this.#calls.drop(error);
    this.feed.clear();
    this.#notices.set([]);
    for (const answer of this.#shelf.all) {
      answer.forget();
      answer.refused(error);
    }
  }

  /** Ask what has become of requests that a snapshot of the feed did not name. */
  #settle(requestIds: readonly string[]): void {
    for (let start = 0; start < requestIds.length; start += LIMITS.probes_per_command_max) {
      const page = requestIds.slice(start, start + LIMITS.probes_per_command_max);
      this.call("probe", { request_ids: page }).then(
        (reply) => this.feed.settle(reply.requests),
        () => {}, // the rows stay as they are; the next snapshot of the feed asks again
      );
    }
  }

  #noticed(notice: NoticePush): void {
    if (notice.kind === "draining") this.#connection.note({ draining: true }, notice.retry_after_ms ?? 0);
    if (notice.kind === "place" && notice.request_id) {
      const { place, reason, estimate_ms: estimateMs } = notice;
      this.#shelf.get(notice.request_id)?.placed({ place, reason, estimateMs });
      return;
    }
    this.#notices.set([...this.#notices.get(), { ...notice, at: this.#now() }].slice(-NOTICES_MAX));
  }

  #outboxChanged(requestId: string | null): void {
    if (requestId !== null) this.#shelf.get(requestId)?.changed();
    this.#dirtyOutbox = true;
    this.#schedule();
  }

  /** Connection lost or back: what is followed is paused or not. */
  #connectionChanged(): void {
    const { phase } = this.connection.get();
    if (phase === this.#phase) return;
    this.#phase = phase;
    for (const answer of this.#shelf.held) answer.changed();
  }

  // -- telling readers

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#batch(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const answers = [...this.#dirty];
    this.#dirty.clear();
    // What has become of a request is told before that it left the outbox: who sees it leave asks why.
    for (const answer of answers) answer.flush();
    if (this.#dirtyOutbox) {
      this.#dirtyOutbox = false;
      const entries = this.#outbox.entries();
      const unsent = entries.filter((entry) => entry.state !== "refused").length;
      this.#connection.note({ unsent, durable: this.#outbox.durable });
      this.#entries.set(entries);
    }
    this.feed.flush();
  }

  #entryChange(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#entries.subscribe(() => {
        stop();
        resolve();
      });
    });
  }
}
