/**
 * The client's half of the protocol, without a socket or a clock: what to send, and what the answers mean.
 *
 * One Session outlives any number of connections. A shell drives it in this order: `connected()` when a connection is
 * open; send `frames()`, and again after every call of anything here; `receive(text)` for each frame that arrives, and act
 * on what it returns; `disconnected()`; later `connected()` again.
 *
 * After `connected()` only `hello` is sent. Once it is answered everything else follows in this order: a subscribe for each
 * request that is followed (with its cursor), every command that has had no reply, and `watch` with the feed's cursor. All
 * commands may be repeated: a submit carries its id, and the others say what should be so.
 */
import { decodeServer } from "./decode.ts";
import type { Following } from "./following.ts";
import { encode, isPush, unexpected } from "./frames.ts";
import type { Happening } from "./happenings.ts";
import { Subscriptions } from "./subscriptions.ts";
import { type Sent, Unanswered } from "./unanswered.ts";
import {
  type CommandType,
  type FieldsOf,
  LIMITS,
  type Push,
  REPLIES,
  type Reply,
  type Submission,
  type WelcomeReply,
} from "./wire.gen.ts";

export class Session {
  welcome: WelcomeReply | null = null;
  feedCursor: string | null = null;
  /** Frames that could not be read, or were of a later release. */
  unreadable = 0;
  token: string | null;
  readonly #name: string;
  #user: string;
  readonly #unanswered = new Unanswered();
  readonly #subscriptions = new Subscriptions({
    ready: () => this.#ready,
    bound: () => this.welcome?.limits.subscriptions,
    subscribe: ({ requestId, cursor }) =>
      this.#sendOwn("subscribe", { request_id: requestId, cursor }, "subscribe", requestId),
    unsubscribe: (requestId) =>
      void this.#sendOwn("unsubscribe", { request_id: requestId }, "other", requestId),
  });
  #frames: string[] = [];
  #ready = false;
  #watching = false;
  /** Subscribes, watches and pings of its own: what each was about. */
  readonly #own = new Map<
    number,
    { readonly what: "subscribe" | "watch" | "ping" | "other"; readonly about: string }
  >();
  #helloRef = -1;
  #ref = 0;
  #watchTries = 0;

  constructor(options: { token?: string | null; name?: string; user?: string } = {}) {
    this.token = options.token ?? null;
    this.#user = options.user ?? "";
    this.#name = options.name ?? "";
  }

  /** Whether commands go out at once. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether a followed request waits for another to free its place among the subscriptions. */
  get crowded(): boolean {
    return this.#subscriptions.crowded;
  }

  // -- the connection

  connected(): void {
    this.#frames = [];
    this.#own.clear();
    this.#helloRef = ++this.#ref;
    this.#frames.push(
      encode("hello", this.#helloRef, {
        token: this.token,
        client: this.#name.slice(0, LIMITS.client_chars_max),
      }),
    );
  }

  disconnected(): void {
    this.#ready = false;
    this.#frames = [];
    this.#own.clear();
    this.#subscriptions.disconnected();
  }

  /** What has to be sent now, in order; each is handed out once. */
  frames(): string[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  // -- commands

  /** Issue a command. Returns its ref; the reply comes as `replied`, however many connections it takes. Throws CommandError
   * outbox_full or too_large, before anything is sent. */
  call<K extends CommandType>(kind: K, fields: FieldsOf<K>): number {
    const ref = ++this.#ref;
    this.#issue(ref, { type: "call", kind, frame: encode(kind, ref, fields) });
    return ref;
  }

  /** Submit a request, following it from the start if `following` is given and there is room. The answer comes as
   * `submitted`. Throws as `call` does. */
  submit(request: Submission & { readonly request_id: string }, following: Following | null): number {
    const ref = ++this.#ref;
    const follow = following !== null && this.#subscriptions.admits(following);
    this.#issue(ref, {
      type: "submit",
      requestId: request.request_id,
      frame: encode("submit", ref, { request, follow }),
    });
    if (follow) this.#subscriptions.submitted(following, ref);
    return ref;
  }

  /** Follow a request to its end, from the cursor that `following` has. */
  follow(following: Following): void {
    this.#subscriptions.add(following);
  }

  /** Stop following; the request goes on, and fold and cursor stay with the Following. */
  unfollow(requestId: string): void {
    this.#subscriptions.drop(requestId);
  }

  /** Follow the feed from now on. */
  watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    if (this.#ready) this.#sendWatch();
  }

  /** What was put off may be tried again. */
  resume(requestId: string | null): void {
    if (!this.#ready) return;
    if (requestId === null) this.#sendWatch();
    else this.#subscriptions.rested(requestId);
  }

  /** Ask for a sign of life. */
  ping(): void {
    if (this.#ready) this.#sendOwn("ping", {}, "ping", "");
  }

  /** Nobody waits for this reply any more; do not send the command again. */
  forget(ref: number): void {
    this.#unanswered.take(ref);
  }

  #issue(ref: number, sent: Sent): void {
    this.#unanswered.put(ref, sent);
    if (this.#ready) this.#frames.push(sent.frame);
  }

  #sendOwn<K extends CommandType>(
    kind: K,
    fields: FieldsOf<K>,
    what: "subscribe" | "watch" | "ping" | "other",
    about: string,
  ): number {
    const ref = ++this.#ref;
    this.#own.set(ref, { what, about });
    this.#frames.push(encode(kind, ref, fields));
    return ref;
  }

  #sendWatch(): void {
    if (this.#watching) this.#sendOwn("watch", { cursor: this.feedCursor }, "watch", "");
  }

  // -- what arrives

  /** Take a frame. Never throws for bad input: what cannot be read is counted and left out, and if it mattered the next
   * page does not fit. */
  receive(data: unknown): Happening[] {
    const decoded = decodeServer(data);
    if (decoded.message) {
      const { message } = decoded;
      return isPush(message) ? this.#push(message) : this.#reply(message);
    }
    this.unreadable++;
    if (decoded.ref === null) return [];
    // A reply that makes no sense must not leave its caller waiting for ever.
    return this.#reply(unexpected(decoded.ref));
  }

  #push(push: Push): Happening[] {
    switch (push.type) {
      case "page":
      case "caught_up":
      case "snapshot":
      case "gone":
        return this.#subscriptions.push(push);
      case "feed":
        if (!this.#watching) return [];
        this.feedCursor = push.next;
        return [{ type: "fed", push }];
      case "notice":
        return [{ type: "noticed", notice: push }];
    }
  }

  #reply(reply: Reply): Happening[] {
    const { ref } = reply;
    if (ref === null) return reply.type === "error" ? [{ type: "complained", error: reply }] : [];
    if (ref === this.#helloRef) return this.#greeted(reply);
    const own = this.#own.get(ref);
    if (own) {
      this.#own.delete(ref);
      return this.#ownReply(own.what, own.about, reply);
    }
    const sent = this.#unanswered.take(ref);
    if (!sent) return [];
    if (sent.type === "submit") return this.#submitted(ref, sent.requestId, reply);
    if (reply.type === "error" || reply.type === REPLIES[sent.kind]) return [{ type: "replied", ref, reply }];
    return [{ type: "replied", ref, reply: unexpected(ref) }];
  }

  #greeted(reply: Reply): Happening[] {
    if (reply.type === "error") return [{ type: "complained", error: reply }];
    if (reply.type !== "welcome") return [];
    this.welcome = reply;
    const replaced = this.#user !== "" && this.#user !== reply.user;
    this.#user = reply.user;
    if (replaced) this.#dropAll();
    this.#ready = true;
    this.#subscriptions.subscribe();
    this.#frames.push(...this.#unanswered.frames());
    this.#sendWatch();
    return [...(replaced ? [{ type: "replaced" } as const] : []), { type: "welcomed", welcome: reply }];
  }

  /** What one user asked must not be asked as another. */
  #dropAll(): void {
    this.#unanswered.clear();
    this.feedCursor = null;
    this.#subscriptions.loseAll("replaced", "Somebody else signed in.");
  }

  #ownReply(what: string, about: string, reply: Reply): Happening[] {
    if (what === "ping") return reply.type === "pong" ? [{ type: "alive", pong: reply }] : [];
    if (what === "watch") {
      if (reply.type === "watching") {
        this.#watchTries = 0;
        return [{ type: "watching", whole: reply.reset === null }];
      }
      if (reply.type !== "error" || !reply.retryable) return [];
      return [
        { type: "put_off", requestId: null, tries: ++this.#watchTries, waitMs: reply.retry_after_ms ?? 0 },
      ];
    }
    const following = this.#subscriptions.get(about);
    if (what !== "subscribe" || following?.ref !== reply.ref) return [];
    return reply.type === "error"
      ? this.#subscriptions.refused(following, reply)
      : this.#subscriptions.granted(following);
  }

  #submitted(ref: number, requestId: string, reply: Reply): Happening[] {
    const result = reply.type === "submitted" || reply.type === "error" ? reply : unexpected(ref);
    const following = this.#subscriptions.get(requestId);
    if (following?.ref === ref) {
      if (result.type === "submitted") following.granted(result.cursor);
      else this.#subscriptions.notSubmitted(following);
    }
    return [{ type: "submitted", requestId, reply: result }];
  }
}
