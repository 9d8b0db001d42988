/**
 * What has been submitted and not yet accepted: kept in a store before it is sent, sent in order, sent again under the
 * same id until it is answered.
 *
 * A submit of a chat waits until the one before it in that chat was accepted, because it goes under its answer. Which of
 * several tabs sends an entry is settled by the store (`claim`); where it cannot tell, each does, and the id makes the
 * second a repeat.
 */
import { CAP_MS } from "./backoff.ts";
import { CommandError } from "./errors.ts";
import type { OutboxStore } from "./outbox_store.ts";
import type { OutboxEntry } from "./state.ts";
import type { Timers } from "./surroundings.ts";
import type { ErrorReply, SubmittedReply } from "./wire.gen.ts";

/** Entries that may wait; a person who has more has been offline for a long time, and a page would drown in them. */
export const ENTRIES_MAX = 500;

/** Entries on their way at once. */
export const SENDING_MAX = 20;

/** Tries after which an entry that the server keeps putting off is given back to the person. */
export const TRIES_MAX = 10;

/** The first bound of the wait after a refusal that may pass; it doubles. */
const PUT_OFF_MS = 1_000;

export interface OutboxOptions {
  readonly store: OutboxStore;
  readonly now: () => number;
  readonly random: () => number;
  readonly timers: Timers;
  /** Whether submits go out at once. */
  readonly ready: () => boolean;
  /** Send a submit. Throws CommandError if it cannot even be tried. */
  readonly send: (entry: OutboxEntry) => void;
  /** An entry changed, came or went. */
  readonly changed: (requestId: string) => void;
  /** It was accepted; without a reply: another tab saw to it. */
  readonly accepted: (requestId: string, reply: SubmittedReply | null) => void;
  /** It will not be sent, because somebody took it back. */
  readonly withdrawn: (requestId: string) => void;
}

interface Slot {
  entry: OutboxEntry;
  durable: boolean;
  tries: number;
  notBefore: number;
  claim: AbortController | null;
  unclaim: (() => void) | null;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #stopListening: (() => void) | undefined;
  /** Entries that are done with here: a reading of the store that began before must not bring them back. */
  readonly #done = new Set<string>();
  #loaded = false;
  #closed = false;
  #lastOrder = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
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

  close(): void {
    this.#closed = true;
    this.#stopListening?.();
    for (const slot of this.#slots.values()) this.#letGo(slot);
    this.#options.store.close?.();
  }

  /** All entries, in their order. */
  entries(): OutboxEntry[] {
    return [...this.#slots.values()].map((slot) => slot.entry).sort((one, other) => one.order - other.order);
  }

  entry(requestId: string): OutboxEntry | null {
    return this.#slots.get(requestId)?.entry ?? null;
  }

  /** Keep a submit, then send it. The same id again changes nothing. Throws CommandError outbox_full. */
  add(submission: OutboxEntry["submission"]): void {
    const requestId = submission.request_id;
    if (this.#slots.has(requestId)) return;
    if (this.#slots.size >= ENTRIES_MAX)
      throw new CommandError(
        "outbox_full",
        `${ENTRIES_MAX} messages wait to be sent; this one was not taken.`,
        true,
      );
    this.#done.delete(requestId);
    const at = this.#options.now();
    this.#lastOrder = Math.max(this.#lastOrder + 1, at);
    const entry: OutboxEntry = {
      requestId,
      submission,
      order: this.#lastOrder,
      at,
      state: "waiting",
      error: null,
    };
    const slot = this.#put(entry, false);
    // Durable first. Where the store fails the entry is sent all the same: losing it is the worse of the two.
    void this.#keep(entry).then(() => {
      slot.durable = true;
      this.pump();
    });
  }

  /** Take back what is not on its way; false if it may be, here or in another tab. */
  async withdraw(requestId: string): Promise<boolean> {
    const slot = this.#slots.get(requestId);
    if (!slot || slot.entry.state === "sending") return false;
    const { claimNow } = this.#options.store;
    if (claimNow && !slot.unclaim) {
      const unclaim = await claimNow(requestId);
      if (!unclaim) return false;
      // Whoever had it before may have had its answer: the store knows.
      await this.#load();
      if (slot.unclaim || this.#slots.get(requestId) !== slot) {
        unclaim();
        return false;
      }
      slot.unclaim = unclaim;
    }
    this.#remove(slot, false);
    this.#options.withdrawn(requestId);
    this.pump();
    return true;
  }

  /** Try again what was refused or put off. */
  retry(requestId: string): void {
    const slot = this.#slots.get(requestId);
    if (!slot || slot.entry.state === "sending") return;
    slot.tries = slot.notBefore = 0;
    this.#update(slot, { state: "waiting", error: null });
    void this.#keep(slot.entry);
    this.pump();
  }

  /** The server's answer. */
  answered(requestId: string, reply: SubmittedReply | ErrorReply): void {
    const slot = this.#slots.get(requestId);
    if (!slot) return;
    if (reply.type === "submitted") {
      this.#remove(slot, true);
      this.#options.accepted(requestId, reply);
    } else this.#refused(slot, reply.code, reply.message, reply.retryable, reply.retry_after_ms ?? 0);
    this.pump();
  }

  /** Send what may be sent now. */
  pump(): void {
    const { ready, now } = this.#options;
    if (!this.#loaded || this.#closed || !ready()) return;
    const busy = new Set<string>();
    let sending = 0;
    for (const entry of this.entries()) {
      const slot = this.#slots.get(entry.requestId);
      const chat = entry.submission.chat_id ?? entry.requestId;
      if (!slot || entry.state === "refused" || busy.has(chat)) continue;
      busy.add(chat);
      if (++sending > SENDING_MAX) return;
      if (entry.state === "waiting" && slot.durable && slot.notBefore <= now()) this.#claim(slot);
    }
  }

  // -- one entry

  #claim(slot: Slot): void {
    const { store } = this.#options;
    if (!store.claim || slot.unclaim) {
      this.#send(slot);
      return;
    }
    if (slot.claim) return;
    const claim = new AbortController();
    slot.claim = claim;
    store.claim(slot.entry.requestId, claim.signal).then(
      (unclaim) => {
        if (this.#slots.get(slot.entry.requestId) !== slot || claim.signal.aborted) {
          unclaim();
          return;
        }
        slot.claim = null;
        slot.unclaim = unclaim;
        // Whoever had it before may have had its answer just now; the store knows, and has been told to tell.
        void this.#load().then(() => this.pump());
      },
      () => {
        slot.claim = null;
      },
    );
  }

  #send(slot: Slot): void {
    if (!this.#options.ready() || slot.entry.state !== "waiting") return;
    this.#update(slot, { state: "sending", error: null });
    try {
      this.#options.send(slot.entry);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.#refused(slot, error.code, error.message, error.retryable, 0);
    }
  }

  #refused(slot: Slot, code: string, message: string, retryable: boolean, atLeastMs: number): void {
    const { random, timers, now } = this.#options;
    const error = { code, message, retryable };
    if (!retryable || ++slot.tries >= TRIES_MAX) {
      this.#update(slot, { state: "refused", error });
      void this.#keep(slot.entry);
      return;
    }
    const waitMs = atLeastMs + random() * Math.min(CAP_MS, PUT_OFF_MS * 2 ** slot.tries);
    slot.notBefore = now() + waitMs;
    this.#update(slot, { state: "waiting", error });
    timers.set(() => this.pump(), waitMs + 1);
  }

  #put(entry: OutboxEntry, durable: boolean): Slot {
    const slot: Slot = { entry, durable, tries: 0, notBefore: 0, claim: null, unclaim: null };
    this.#slots.set(entry.requestId, slot);
    this.#lastOrder = Math.max(this.#lastOrder, entry.order);
    this.#options.changed(entry.requestId);
    return slot;
  }

  #update(slot: Slot, change: Partial<OutboxEntry>): void {
    slot.entry = { ...slot.entry, ...change };
    this.#options.changed(slot.entry.requestId);
  }

  #remove(slot: Slot, accepted: boolean): void {
    const { requestId } = slot.entry;
    this.#forget(requestId);
    // The claim ends after the store knows, so that the next tab to have it finds the entry gone.
    void this.#options.store
      .remove(requestId, accepted)
      .catch(() => {})
      .then(() => this.#letGo(slot));
    this.#options.changed(requestId);
  }

  #forget(requestId: string): void {
    this.#slots.delete(requestId);
    this.#done.add(requestId);
    if (this.#done.size > 2 * ENTRIES_MAX) this.#done.delete(this.#done.values().next().value!);
  }

  #letGo(slot: Slot): void {
    slot.claim?.abort();
    slot.unclaim?.();
    slot.claim = slot.unclaim = null;
  }

  async #keep(entry: OutboxEntry): Promise<void> {
    // What is on its way now is waiting for whoever reads it after a reload.
    const state = entry.state === "sending" ? "waiting" : entry.state;
    await this.#options.store.put({ ...entry, state }).catch(() => {});
  }

  // -- other tabs

  #removedElsewhere(requestId: string, accepted: boolean): void {
    const slot = this.#slots.get(requestId);
    if (!slot) return;
    this.#forget(requestId);
    this.#letGo(slot);
    this.#options.changed(requestId);
    if (accepted) this.#options.accepted(requestId, null);
    else this.#options.withdrawn(requestId);
    this.pump();
  }

  async #load(): Promise<void> {
    const before = [...this.#slots.values()].filter((slot) => slot.durable);
    let kept: OutboxEntry[];
    try {
      kept = await this.#options.store.load();
    } catch {
      return; // what this page holds itself is still sent
    }
    if (this.#closed) return;
    const ids = new Set(kept.map((entry) => entry.requestId));
    for (const entry of kept) {
      const slot = this.#slots.get(entry.requestId);
      if (!slot && !this.#done.has(entry.requestId)) this.#put(entry, true);
      else if (!slot) continue;
      else if (slot.durable && slot.entry.state !== "sending" && slot.entry.state !== entry.state)
        this.#update(slot, { state: entry.state, error: entry.error });
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
}
