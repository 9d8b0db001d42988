/**
 * What has been submitted and not yet accepted: kept in a store before it is sent, sent in order, sent again under the
 * same id until it is answered.
 *
 * A submit of a chat waits until the one before it in that chat was accepted, because it goes under its answer. Which of
 * several tabs sends an entry is settled by the store (turn.ts); where it cannot tell, each does, and the id makes the
 * second a repeat. An entry belongs to the user as whom it was made: while somebody else is here it is neither shown nor
 * sent, and waits in the store for its owner. One that was made before anybody was known belongs to whoever is known first.
 */
import { CAP_MS } from "./backoff.ts";
import { CommandError } from "./errors.ts";
import { Keep } from "./keep.ts";
import type { OutboxOptions } from "./outbox_options.ts";
import { type Slot, Slots } from "./slots.ts";
import type { OutboxEntry } from "./state.ts";
import { Turn } from "./turn.ts";
import type { ErrorReply, SubmittedReply } from "./wire.gen.ts";
import { Withdrawals } from "./withdrawals.ts";

/** Entries that may wait; a person who has more has been offline for a long time, and a page would drown in them. */
export const ENTRIES_MAX = 500;

/** Entries on their way at once. */
export const SENDING_MAX = 20;

/** Tries after which an entry that the server keeps putting off is given back to the person. */
export const TRIES_MAX = 10;

/** The first bound of the wait after a refusal that may pass; it doubles. */
const PUT_OFF_MS = 1_000;

/** Refusals after which the outcome is not known. */
const UNKNOWN_OUTCOMES: ReadonlySet<string> = new Set(["unavailable", "internal"]);

export class Outbox {
  /** Whether what waits would outlive the page, as far as is known. */
  durable = true;
  readonly #options: OutboxOptions;
  readonly #keep: Keep;
  readonly #withdrawals: Withdrawals;
  readonly #slots: Slots;
  readonly #stopListening: (() => void) | undefined;
  #owner: string | null;
  #loaded = false;
  #closed = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#owner = options.owner;
    this.#keep = new Keep(options.store, options.timers, (durable) => {
      if (this.durable === durable) return;
      this.durable = durable;
      options.changed(null);
    });
    this.#withdrawals = new Withdrawals(this.#keep, options.cancel);
    const turnOf = (requestId: string) => new Turn(options.store, options.timers, requestId);
    this.#slots = new Slots(2 * ENTRIES_MAX, turnOf, options.changed);
    this.#stopListening = options.store.onChange?.((removed) => {
      if (removed) this.#removedElsewhere(removed.requestId, removed.accepted);
      else void this.#load();
    });
  }

  /** Read what the store has kept; then entries go out. */
  async start(): Promise<void> {
    await this.#load();
    this.#loaded = true;
    this.pump();
  }

  /** Whether it is known what waits. */
  get loaded(): boolean {
    return this.#loaded;
  }

  close(): void {
    this.#closed = true;
    this.#stopListening?.();
    for (const slot of this.#slots.all()) slot.turn.letGo();
    this.#options.store.close?.();
  }

  /** Somebody is here from now on: what is not theirs is not looked at any more. */
  async belongTo(owner: string): Promise<void> {
    if (this.#owner === owner) return;
    this.#owner = owner;
    this.#loaded = false; // what they left here goes before what comes now
    for (const slot of this.#slots.all()) {
      if (slot.entry.owner === null) {
        this.#slots.update(slot, { owner });
        void this.#keep.put(slot.entry);
      } else if (slot.entry.owner !== owner) {
        slot.turn.letGo();
        this.#slots.drop(slot.entry.requestId);
      }
    }
    await this.start();
  }

  /** Take back everything of whoever is here: they leave this browser. */
  async clear(): Promise<void> {
    await this.#load();
    await Promise.all([
      ...this.#slots.all().map((slot) => this.#remove(slot, false)),
      this.#withdrawals.clear(),
    ]);
  }

  /** All entries, in their order. */
  entries(): OutboxEntry[] {
    return this.#slots.entries();
  }

  entry(requestId: string): OutboxEntry | null {
    return this.#slots.get(requestId)?.entry ?? null;
  }

  /** Keep a submit, then send it. The same id again changes nothing. Throws CommandError outbox_full. */
  add(submission: OutboxEntry["submission"]): void {
    const requestId = submission.request_id;
    if (this.#slots.get(requestId)) return;
    if (this.#slots.size >= ENTRIES_MAX)
      throw new CommandError(
        "outbox_full",
        `${ENTRIES_MAX} messages wait to be sent; this one was not taken.`,
        true,
      );
    this.#slots.revive(requestId);
    this.#withdrawals.revive(requestId);
    const at = this.#options.now();
    const slot = this.#slots.put(
      {
        requestId,
        submission,
        owner: this.#owner,
        order: this.#slots.nextOrder(at),
        at,
        state: "waiting",
        error: null,
      },
      false,
    );
    // Durable first. Where the store fails the entry is sent all the same: losing it is the worse of the two.
    void this.#keep.put(slot.entry).then((stored) => {
      slot.kept = true;
      slot.stored = stored;
      this.pump();
    });
  }

  /** Take back what is not on its way; false if it is, here or in another tab. */
  async withdraw(requestId: string): Promise<boolean> {
    const slot: Slot | undefined = this.#slots.get(requestId);
    if (!slot || slot.entry.state === "sending") return false;
    if (this.#options.store.claimNow) {
      if (!(await slot.turn.takeNow())) return false;
      // Whoever had it before may have had its answer: the store knows.
      await this.#load();
      const now = this.#slots.get(requestId);
      if (now !== slot) slot.turn.letGo();
      if (now !== slot || now.entry.state === "sending") return false;
    }
    if (slot.doubtful) {
      this.#slots.finish(requestId);
      void this.#withdrawals.add(slot.entry).then(() => slot.turn.letGo());
    } else void this.#remove(slot, false);
    this.#options.withdrawn(requestId);
    this.pump();
    return true;
  }

  /** Try again what was refused or put off. */
  retry(requestId: string): void {
    const slot = this.#slots.get(requestId);
    if (!slot || slot.entry.state === "sending") return;
    slot.tries = 0;
    slot.resting = false;
    this.#slots.update(slot, { state: "waiting", error: null });
    void this.#keep.put(slot.entry);
    this.pump();
  }

  /** The server's answer. */
  answered(requestId: string, reply: SubmittedReply | ErrorReply): void {
    const slot = this.#slots.get(requestId);
    if (!slot) return;
    if (reply.type === "submitted") {
      void this.#remove(slot, true);
      this.#options.accepted(requestId, reply);
    } else this.#refused(slot, reply.code, reply.message, reply.retryable, reply.retry_after_ms ?? 0);
    this.pump();
  }

  /** Send what may be sent now. */
  pump(): void {
    if (!this.#loaded || this.#closed || !this.#options.ready()) return;
    const busy = new Set<string>();
    let sending = 0;
    for (const entry of this.entries()) {
      const slot = this.#slots.get(entry.requestId);
      const chat = entry.submission.chat_id ?? entry.requestId;
      if (!slot || entry.state === "refused" || busy.has(chat)) continue;
      busy.add(chat);
      if (++sending > SENDING_MAX) return;
      if (entry.state !== "waiting" || !slot.kept || slot.resting) continue;
      if (slot.turn.here) this.#send(slot);
      // Whoever had it before may have had its answer just now; the store knows, and has been told to tell.
      else slot.turn.ask(() => void this.#load().then(() => this.pump()));
    }
  }

  // -- one entry

  #send(slot: Slot): void {
    this.#slots.update(slot, { state: "sending", error: null });
    try {
      this.#options.send(slot.entry);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#refused(slot, error.code, error.message, error.retryable, 0);
    }
  }

  #refused(slot: Slot, code: string, message: string, retryable: boolean, atLeastMs: number): void {
    const { random, timers } = this.#options;
    const error = { code, message, retryable };
    slot.doubtful ||= UNKNOWN_OUTCOMES.has(code);
    if (!retryable || ++slot.tries >= TRIES_MAX) {
      this.#slots.update(slot, { state: "refused", error });
      void this.#keep.put(slot.entry);
      return;
    }
    slot.resting = true;
    this.#slots.update(slot, { state: "waiting", error });
    timers.set(
      () => {
        slot.resting = false;
        this.pump();
      },
      atLeastMs + random() * Math.min(CAP_MS, PUT_OFF_MS * 2 ** slot.tries),
    );
  }

  async #remove(slot: Slot, accepted: boolean): Promise<void> {
    const { requestId } = slot.entry;
    this.#slots.finish(requestId);
    await this.#keep.remove(requestId, accepted);
    // The turn ends after the store knows, so that the next tab to have it finds the entry gone.
    slot.turn.letGo();
  }

  // -- other tabs

  #removedElsewhere(requestId: string, accepted: boolean): void {
    const slot = this.#slots.get(requestId);
    if (!slot) return;
    this.#slots.finish(requestId);
    slot.turn.letGo();
    if (accepted) this.#options.accepted(requestId, null);
    else this.#options.withdrawn(requestId);
    this.pump();
  }

  async #load(): Promise<void> {
    const before = this.#slots.all().filter((slot) => slot.stored);
    const kept = await this.#keep.load();
    // What this page holds itself is sent, also where nothing can be read.
    if (this.#closed || kept === null) return;
    const ids = new Set(kept.map((entry) => entry.requestId));
    for (const entry of kept) {
      const slot = this.#slots.get(entry.requestId);
      if (entry.state === "withdrawn") this.#takenBack(entry);
      else if (slot) {
        if (slot.stored && slot.entry.state !== "sending" && slot.entry.state !== entry.state)
          this.#slots.update(slot, { state: entry.state, error: entry.error });
      } else if (!this.#slots.isDone(entry.requestId)) this.#found(entry);
    }
    for (const slot of before) {
      // Gone without a word that reached us. It was accepted, or it was taken back: following it will tell.
      if (
        this.#slots.get(slot.entry.requestId) === slot &&
        !ids.has(slot.entry.requestId) &&
        slot.entry.state !== "sending"
      )
        this.#removedElsewhere(slot.entry.requestId, true);
    }
    this.pump();
  }

  /** An entry that another page left, or another tab made. */
  #found(entry: OutboxEntry): void {
    if (entry.owner === this.#owner) this.#slots.put(entry, true);
    else if (entry.owner === null) {
      const slot = this.#slots.put({ ...entry, owner: this.#owner }, true);
      void this.#keep.put(slot.entry);
    }
  }

  /** An entry that another page or tab took back, and the server may have. */
  #takenBack({ requestId, owner }: OutboxEntry): void {
    if (owner !== this.#owner && owner !== null) return;
    this.#removedElsewhere(requestId, false);
    this.#withdrawals.see(requestId);
  }
}
