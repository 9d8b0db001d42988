/**
 * One request as its readers see it: a value that is put together when something changed, and readers of its pieces.
 *
 * Whoever shows it holds it; while anybody does it is followed. What a batch of events costs here is what they touched and
 * one shallow copy of the list of parts; text is never copied.
 */
import { answerState, sameBut } from "./answer_state.ts";
import { CommandError } from "./errors.ts";
import type { Fold } from "./fold.ts";
import { Following } from "./following.ts";
import type { LivePart } from "./live_part.ts";
import { NO_PART, type Part } from "./parts.ts";
import type { Queued } from "./queueing.ts";
import { Listeners, type Readable } from "./readable.ts";
import type { AnswerState, Attempt, OutboxEntry } from "./state.ts";
import type { RequestRow, StartedEvent, SubmittedReply } from "./wire.gen.ts";

/** What earlier attempts showed is kept up to this many attempts and bytes of text, the oldest going first. */
export const ATTEMPTS_MAX = 8;
export const ATTEMPTS_BYTES_MAX = 512 * 1024;

/** What an answer needs of its client. */
export interface AnswerHost {
  held(answer: Answer): void;
  released(answer: Answer): void;
  schedule(answer: Answer): void;
  entry(requestId: string): OutboxEntry | null;
  row(requestId: string): RequestRow | null;
}

export class Answer {
  readonly requestId: string;
  /** Changes with every batch of what arrived. */
  readonly state: Readable<AnswerState>;
  /** Changes with the structure only: parts added or ended, status, attempt, connection to the server; not with text. */
  readonly shape: Readable<AnswerState>;
  readonly #host: AnswerHost;
  readonly #stateListeners = new Listeners();
  readonly #shapeListeners = new Listeners();
  readonly #partListeners = new Map<number, Listeners>();
  readonly #parts = new Map<number, Readable<Part>>();
  #following: Following | null = null;
  #fold: Fold | null = null;
  #shown: readonly LivePart[] = [];
  #holds = 0;
  #attempts: Attempt[] = [];
  #queued: Queued | null = null;
  #submitted: SubmittedReply | null = null;
  #refusal: CommandError | null = null;
  #state: AnswerState;
  #shape: AnswerState;
  #ended: Promise<AnswerState> | null = null;

  /** Made by `Client.answer` and `Client.submit`. */
  constructor(requestId: string, host: AnswerHost) {
    this.requestId = requestId;
    this.#host = host;
    this.#state = this.#shape = this.#compute([]);
    this.state = { get: () => this.#state, subscribe: (listener) => this.#stateListeners.add(listener) };
    this.shape = { get: () => this.#shape, subscribe: (listener) => this.#shapeListeners.add(listener) };
  }

  /** Begin to follow it, or go on; the returned function releases it, once. */
  hold(): () => void {
    let held = true;
    if (this.#holds++ === 0) this.#host.held(this);
    return () => {
      if (!held) return;
      held = false;
      if (--this.#holds === 0) this.#host.released(this);
    };
  }

  /** One part by its number; a delta tells only the readers of its part. Of a part that is gone it gives the last it knew. */
  part(index: number): Readable<Part> {
    let readable = this.#parts.get(index);
    if (!readable) {
      let last: Part = NO_PART;
      readable = {
        get: () => {
          last = this.#state.parts[index] ?? last;
          return last;
        },
        subscribe: (listener) => {
          let listeners = this.#partListeners.get(index);
          if (!listeners) {
            listeners = new Listeners();
            this.#partListeners.set(index, listeners);
          }
          return listeners.add(listener);
        },
      };
      this.#parts.set(index, readable);
    }
    return readable;
  }

  /** The state with its outcome. Whoever asks holds the answer until then. Rejects with CommandError if the submit is refused
   * or taken back, or the answer is lost. */
  get ended(): Promise<AnswerState> {
    this.#ended ??= new Promise<AnswerState>((resolve, reject) => {
      const release = this.hold();
      let stop = () => {};
      const look = () => {
        const state = this.#state;
        const lost = state.sync === "lost" ? new CommandError("lost", state.lostReason) : null;
        const error = state.refusal ?? lost;
        const over = state.outcome !== null && (state.sync === "ended" || this.#following === null);
        if (!over && !error) return;
        stop();
        release();
        if (error) reject(error);
        else resolve(state);
      };
      stop = this.#stateListeners.add(look);
      look();
    });
    return this.#ended;
  }

  // -- for the client only

  /** @internal Whether anybody holds it. */
  get isHeld(): boolean {
    return this.#holds > 0;
  }

  /** @internal Whether the server does not have it, as far as is known here. */
  get isUnsent(): boolean {
    return this.#refusal !== null || this.#host.entry(this.requestId) !== null;
  }

  /** @internal What follows it; made at its first use, or anew where the last was lost. */
  follower(): Following {
    if (!this.#following || this.#following.state === "lost") {
      this.#following = new Following(this.requestId, (dropped, by) => this.#superseded(dropped, by));
    }
    return this.#following;
  }

  /** @internal What follows it, if anything does. */
  get following(): Following | null {
    return this.#following;
  }

  /** @internal UTF-8 bytes of text that it keeps. */
  get bytes(): number {
    return (this.#following?.fold.live ?? []).reduce((sum, part) => sum + part.shown.bytes, 0);
  }

  /** @internal Let go of the fold; the next hold begins with a snapshot. */
  forget(): void {
    this.#following = null;
    this.#attempts = [];
    this.changed();
  }

  /** @internal It was accepted; without a reply, by way of another tab. */
  accepted(reply: SubmittedReply | null): void {
    this.#submitted = reply ?? this.#submitted;
    this.#refusal = null;
    this.changed();
  }

  /** @internal It will not be sent. */
  withdrawn(): void {
    this.#refusal = new CommandError("withdrawn", "This message was taken back before it was sent.");
    this.changed();
  }

  /** @internal It could not even be kept. */
  refused(error: CommandError): void {
    this.#refusal = error;
    this.changed();
  }

  /** @internal Where it stands in the queue. */
  placed(queued: Queued): void {
    this.#queued = queued;
    this.changed();
  }

  /** @internal Something about it has changed: look at `flush` soon. */
  changed(): void {
    this.#host.schedule(this);
  }

  /** @internal Put the value together and tell the readers. */
  flush(): void {
    const fold = this.#following?.fold;
    const swapped = this.#fold !== (fold ?? null);
    const touched = swapped ? this.#differing(fold?.live ?? []) : [...(fold?.touched ?? [])];
    const restructured = swapped || (fold?.restructured ?? false);
    const parts = this.#refreshed(fold?.live ?? [], touched);
    if (restructured) this.#shown = [...(fold?.live ?? [])];
    this.#fold = fold ?? null;
    if (fold) {
      fold.touched.clear();
      fold.restructured = false;
    }
    const before = this.#state;
    const after = this.#compute(parts);
    if (parts === before.parts && sameBut(before, after, "")) return;
    this.#state = after;
    const reshaped = restructured || !sameBut(before, after, "offset");
    if (reshaped) this.#shape = after;
    for (const index of touched) this.#partListeners.get(index)?.tell();
    if (reshaped) this.#shapeListeners.tell();
    this.#stateListeners.tell();
  }

  /** The numbers of parts that are not what was shown; a snapshot that tells the same again leaves readers in peace. */
  #differing(live: readonly LivePart[]): number[] {
    const out: number[] = [];
    for (let index = 0; index < Math.max(live.length, this.#shown.length); index++) {
      const now = live[index];
      const was = this.#shown[index];
      const stale = this.#fold?.touched.has(index);
      if (!now || !was || stale || now.open || was.open || !showsTheSame(now, was)) out.push(index);
    }
    return out;
  }

  #refreshed(live: readonly LivePart[], touched: readonly number[]): readonly Part[] {
    const before = this.#state.parts;
    if (touched.length === 0 && before.length === live.length) return before;
    const parts = before.slice(0, live.length);
    for (const index of touched) {
      const part = live[index];
      if (part) parts[index] = part.view();
    }
    return parts;
  }

  #superseded(dropped: readonly LivePart[], by: StartedEvent): void {
    const attempt = this.#following?.fold.started?.attempt ?? Math.max(0, by.attempt - 1);
    this.#attempts = [
      ...this.#attempts,
      { attempt, reason: by.reason, parts: dropped.map((part) => part.view()) },
    ];
    let bytes = 0;
    const fits = this.#attempts.toReversed().findIndex((each) => {
      bytes += each.parts.reduce((sum, part) => sum + sizeOf(part), 0);
      return bytes > ATTEMPTS_BYTES_MAX;
    });
    const keep = Math.min(ATTEMPTS_MAX, fits < 0 ? ATTEMPTS_MAX : Math.max(1, fits));
    this.#attempts = this.#attempts.slice(-keep);
  }

  #compute(parts: readonly Part[]): AnswerState {
    const { requestId } = this;
    return answerState({
      requestId,
      parts,
      following: this.#following,
      entry: this.#host.entry(requestId),
      row: this.#host.row(requestId),
      submitted: this.#submitted,
      refusal: this.#refusal,
      attempts: this.#attempts,
      queued: this.#queued,
      before: this.#state,
    });
  }
}

const TEXTS: ReadonlySet<string> = new Set(["text", "reasoning", "tool"]);

function showsTheSame(one: LivePart, other: LivePart): boolean {
  const texts = one.shown.bytes === other.shown.bytes && one.shown.value === other.shown.value;
  return one.kind === other.kind && texts && one.state === other.state && TEXTS.has(one.kind);
}

function sizeOf(part: Part): number {
  return "chunks" in part ? part.chunks.reduce((sum, chunk) => sum + chunk.length, 64) : 64;
}
