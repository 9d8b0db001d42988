/** Reads a whole log in pages, keeps it, and goes on reading at its end while the request runs. */
import type { Event as LogEvent, LogReply } from "@sdk";

/** One page: what the protocol allows at most. */
const PAGE_EVENTS = 1_000;
/** What is kept of a log: an answer at the server's default bound has fewer even if every word is an event of its own. */
export const EVENTS_MAX = 400_000;
/** At the tail: look again soon after something came, ever later while nothing does. */
const POLL_MS_MIN = 1_000;
const POLL_MS_MAX = 8_000;
const RETRY_MS = 3_000;

/** How far the reading has come. */
export interface LogProgress {
  /** Events held. */
  readonly count: number;
  /** Whether the present end of the log was reached. */
  readonly caughtUp: boolean;
  readonly sealed: boolean;
  /** Whether there is more than EVENTS_MAX, which is not read. */
  readonly cut: boolean;
  /** One sentence, "" while all is well. */
  readonly error: string;
  /** Whether reading stopped for good with that error. */
  readonly lost: boolean;
}

/** The journal as far as it was read. `events` only ever grows. Call `close` when nobody looks any more. */
export class LogReader {
  readonly events: LogEvent[] = [];
  #progress: LogProgress = { count: 0, caughtUp: false, sealed: false, cut: false, error: "", lost: false };
  #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #pollMs = POLL_MS_MIN;
  #next = 0;
  #reading = false;
  #closed = false;
  readonly #read: (start: number, limit: number) => Promise<LogReply>;

  /** `read` asks for one page. */
  constructor(read: (start: number, limit: number) => Promise<LogReply>) {
    this.#read = read;
  }

  /** The same value until the listeners are told. */
  readonly get = (): LogProgress => this.#progress;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Look now: something may have been written. */
  poke(): void {
    if (this.#closed || this.#reading || this.#progress.sealed || this.#progress.cut || this.#progress.lost)
      return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    void this.#run();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #run(): Promise<void> {
    this.#reading = true;
    try {
      for (;;) {
        const page = await this.#read(this.#next, PAGE_EVENTS);
        if (this.#closed) return;
        for (const event of page.events) this.events.push(event);
        this.#next = page.next;
        const full = page.events.length >= PAGE_EVENTS && !page.sealed;
        const cut = full && this.events.length >= EVENTS_MAX;
        this.#pollMs = page.events.length ? POLL_MS_MIN : Math.min(POLL_MS_MAX, this.#pollMs * 1.5);
        const caughtUp = this.#progress.caughtUp || !full || cut;
        if (page.events.length || page.sealed || !this.#progress.caughtUp || this.#progress.error)
          this.#tell({
            count: this.events.length,
            caughtUp,
            sealed: page.sealed,
            cut,
            error: "",
            lost: false,
          });
        if (page.sealed || cut) return;
        if (!full) break;
      }
      this.#later(this.#pollMs);
    } catch (error) {
      if (this.#closed) return;
      const retryable = error instanceof Error && "retryable" in error ? error.retryable === true : false;
      const text = error instanceof Error ? error.message : "The log could not be read.";
      this.#tell({ ...this.#progress, error: text, lost: !retryable });
      if (retryable) this.#later(RETRY_MS);
    } finally {
      this.#reading = false;
    }
  }

  #later(waitMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      // A page that nobody sees asks for nothing; the next poke catches up.
      if (globalThis.document?.visibilityState === "hidden") this.#later(POLL_MS_MAX);
      else this.poke();
    }, waitMs);
  }

  #tell(progress: LogProgress): void {
    this.#progress = progress;
    for (const listener of [...this.#listeners]) listener();
  }
}
