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
import type { Following, Verdict } from "./following.ts";
import { encode, isPush, unexpected } from "./frames.ts";
import type { Happening } from "./happenings.ts";
import { type Sent, Unanswered } from "./unanswered.ts";
import {
  type CommandType,
  type ErrorReply,
  type FieldsOf,
  LIMITS,
  type Push,
  REPLIES,
  type Reply,
  type Submission,
  type WelcomeReply,
} from "./wire.gen.ts";

export class Session {
  readonly followings = new Map<string, Following>();
  welcome: WelcomeReply | null = null;
  feedCursor: string | null = null;
  /** Frames that could not be read, or were of a later release. */
  unreadable = 0;
  token: string | null;
  readonly #name: string;
  readonly #unanswered = new Unanswered();
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
  /** Fewer than the limit after the server has said that there were too many. */
  #subscriptionsMax = Number.POSITIVE_INFINITY;

  constructor(options: { token?: string | null; name?: string } = {}) {
    this.token = options.token ?? null;
    this.#name = options.name ?? "";
  }

  /** Whether commands go out at once. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether a followed request waits for another to free its place among the subscriptions. */
  get crowded(): boolean {
    return this.#ready && [...this.followings.values()].some((each) => each.state === "want");
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
    this.#subscriptionsMax = Number.POSITIVE_INFINITY;
    for (const following of this.followings.values()) following.dropped();
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
    const follow = following !== null && following.state === "want" && this.#room() > 0;
    this.#issue(ref, {
      type: "submit",
      requestId: request.request_id,
      frame: encode("submit", ref, { request, follow }),
    });
    if (follow) {
      this.followings.set(request.request_id, following);
      following.asked(ref, true);
    }
    return ref;
  }

  /** Follow a request to its end, from the cursor that `following` has. */
  follow(following: Following): void {
    if (this.followings.has(following.requestId)) return;
    this.followings.set(following.requestId, following);
    if (this.#ready) this.#subscribeWanting();
  }

  /** Stop following; the request goes on, and fold and cursor stay with the Following. */
  unfollow(requestId: string): void {
    const following = this.followings.get(requestId);
    if (!following) return;
    this.followings.delete(requestId);
    if (following.state === "asked" || following.state === "live") {
      if (this.#ready) this.#sendOwn("unsubscribe", { request_id: requestId }, "other", requestId);
      following.paused();
    }
    if (this.#ready) this.#subscribeWanting();
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
    else this.#subscribeWanting();
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

  /** How many more requests may be followed on this connection. One place is the feed's. */
  #room(): number {
    const told = this.welcome?.limits.subscriptions ?? LIMITS.subscriptions_per_connection_max;
    return Math.min(told - 1, this.#subscriptionsMax) - this.#taken();
  }

  #taken(): number {
    let taken = 0;
    for (const each of this.followings.values()) if (each.state === "asked" || each.state === "live") taken++;
    return taken;
  }

  #subscribeWanting(): void {
    let room = this.#room();
    for (const following of this.followings.values()) {
      if (room <= 0) return;
      if (following.state !== "want") continue;
      this.#subscribe(following);
      room--;
    }
  }

  #subscribe(following: Following): void {
    const { requestId, cursor } = following;
    following.asked(this.#sendOwn("subscribe", { request_id: requestId, cursor }, "subscribe", requestId));
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
      case "caught_up": {
        const following = this.followings.get(push.request_id);
        if (!following) return [];
        return this.#judge(following, push.type === "page" ? following.page(push) : following.caughtUp(push));
      }
      case "snapshot":
        this.followings.get(push.request_id)?.snapshot(push.reason);
        return [];
      case "gone":
        return this.#lose(push.request_id, "gone", "This answer was deleted.");
      case "feed":
        if (!this.#watching) return [];
        this.feedCursor = push.next;
        return [{ type: "fed", push }];
      case "notice":
        return [{ type: "noticed", notice: push }];
    }
  }

  #judge(following: Following, verdict: Verdict): Happening[] {
    const { requestId } = following;
    if (verdict === "start_over") {
      // Leave the old subscription first: what it still had under way must not be taken for the new one's.
      this.#sendOwn("unsubscribe", { request_id: requestId }, "other", requestId);
      this.#subscribe(following);
      return [{ type: "changed", requestId }];
    }
    if (following.state === "ended" || following.state === "lost") {
      // Whoever reads it holds the Following itself; a session that lives for months must not hold them all.
      this.followings.delete(requestId);
      this.#subscribeWanting();
    }
    return verdict === "same" ? [] : [{ type: "changed", requestId }];
  }

  #lose(requestId: string, reason: string, message: string): Happening[] {
    const following = this.followings.get(requestId);
    if (!following) return [];
    this.followings.delete(requestId);
    following.lose(reason, message);
    this.#subscribeWanting();
    return [{ type: "changed", requestId }];
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
    this.#ready = true;
    this.#subscribeWanting();
    this.#frames.push(...this.#unanswered.frames());
    this.#sendWatch();
    return [{ type: "welcomed", welcome: reply }];
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
    const following = this.followings.get(about);
    if (what !== "subscribe" || following?.ref !== reply.ref) return [];
    if (reply.type === "error") return this.#notSubscribed(following, reply);
    following.granted();
    return [{ type: "changed", requestId: about }];
  }

  #notSubscribed(following: Following, error: ErrorReply): Happening[] {
    const { requestId } = following;
    if (error.code === "too_many_subscriptions") {
      following.paused();
      // What stands now is what this server allows; the next one that ends makes room.
      this.#subscriptionsMax = Math.max(1, this.#taken());
    } else if (!error.retryable) return this.#lose(requestId, error.code, error.message);
    else following.paused();
    return [{ type: "put_off", requestId, tries: ++following.refusals, waitMs: error.retry_after_ms ?? 0 }];
  }

  #submitted(ref: number, requestId: string, reply: Reply): Happening[] {
    const result = reply.type === "submitted" || reply.type === "error" ? reply : unexpected(ref);
    const following = this.followings.get(requestId);
    if (following?.ref === ref) {
      if (result.type === "submitted") following.granted(result.cursor);
      else {
        this.followings.delete(requestId);
        following.paused();
      }
    }
    return [{ type: "submitted", requestId, reply: result }];
  }
}
