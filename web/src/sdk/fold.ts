/**
 * The fold: events in, transcript out; the same reading of a journal as the server's (docs/protocol.md, section 8).
 *
 * fold(snapshot at k + events from k) == fold(all events), for every k. What an event costs is its own size: no text is
 * copied, and what changed is noted by part so that readers need not look at the others.
 */
import { type Digest, digestOf } from "./digest.ts";
import { LivePart, type PartFields } from "./live_part.ts";
import type { Part } from "./parts.ts";
import {
  type AcceptedEvent,
  type Event,
  type LaterEvent,
  OUTCOME_STATUSES,
  type Outcome,
  type StartedEvent,
  type Status,
  TRANSITIONS,
  type Transcript,
  type UsageEvent,
} from "./wire.gen.ts";

/** An event that the lifecycle does not permit here: the reader has lost its place. */
export class IllegalEvent extends Error {
  override readonly name = "IllegalEvent";
}

/** The event is for a part that an unknown kind opened: nothing to do. */
class Opaque extends Error {}

const outcomes: ReadonlySet<string> = new Set(OUTCOME_STATUSES);

type EventOf<T extends Event["type"]> = Extract<Event, { type: T }>;

export class Fold {
  offset = 0;
  status: Status = "new";
  accepted: AcceptedEvent | null = null;
  started: StartedEvent | null = null;
  readonly live: LivePart[] = [];
  checkpoints: (readonly [number, number])[] = [];
  usage: UsageEvent | null = null;
  outcome: Outcome | null = null;
  /** Events that were left out because their kind is not known. */
  unknown = 0;
  /** The parts that changed since somebody emptied this, and whether more than the text or values of parts did. */
  readonly touched = new Set<number>();
  restructured = false;
  #superseding: (dropped: readonly LivePart[], by: StartedEvent) => void;

  /** `superseding` is called before a new attempt drops parts, with those. */
  constructor(superseding: (dropped: readonly LivePart[], by: StartedEvent) => void = () => {}) {
    this.#superseding = superseding;
  }

  /** The same fold, telling `superseding` from now on. */
  watchedBy(superseding: (dropped: readonly LivePart[], by: StartedEvent) => void): this {
    this.#superseding = superseding;
    return this;
  }

  /** Take the next event. Throws IllegalEvent, and then nothing has changed. */
  apply(event: Event): void {
    if (event.type === "later") this.#later(event);
    else {
      const status = TRANSITIONS[this.status][event.type];
      if (status === undefined) throw new IllegalEvent(`${event.type} cannot follow while ${this.status}`);
      try {
        this.#step(event);
      } catch (error) {
        if (!(error instanceof Opaque)) throw error;
        this.unknown++;
      }
      if (status !== this.status) this.restructured = true;
      this.status = status;
    }
    this.offset += event.span;
  }

  /** Whether the terminal event has been taken. */
  get sealed(): boolean {
    return outcomes.has(this.status);
  }

  /** The parts as they are now, for a renderer; each stays so when the fold goes on. */
  parts(): readonly Part[] {
    return this.live.map((part) => part.view());
  }

  /** The digest of what the parts show now. */
  digest(): Digest {
    return digestOf(this.live);
  }

  /** The value at this point; costs its size. */
  transcript(): Transcript {
    const { accepted, started } = this;
    return {
      offset: this.offset,
      status: this.status,
      agent: accepted?.agent ?? "",
      chat_id: accepted?.chat_id ?? null,
      message_id: accepted?.message_id ?? null,
      parent_id: accepted?.parent_id ?? null,
      append_only: accepted?.append_only ?? false,
      projections: accepted?.projections ?? {},
      nonce: accepted?.nonce ?? "",
      attempt: started?.attempt ?? 0,
      term: started?.term ?? 0,
      term_nonce: started?.nonce ?? "",
      reason: started?.reason ?? "",
      accepted_at: accepted?.at ?? null,
      started_at: started?.at ?? null,
      parts: this.live.map((part) => part.frozen()),
      checkpoints: [...this.checkpoints],
      usage: this.usage,
      outcome: this.outcome,
    };
  }

  #later(event: LaterEvent): void {
    this.unknown++;
    if (event.part === this.live.length && this.status === "running")
      this.#add(event.part, new LivePart("unknown", { at: event.at, event: event.kind }));
  }

  #part(index: number, ...kinds: string[]): LivePart {
    const part = this.live[index];
    if (!part) throw new IllegalEvent(`part ${index} is not there`);
    if (!kinds.includes(part.kind)) {
      if (part.kind === "unknown") throw new Opaque();
      throw new IllegalEvent(`part ${index} is a ${part.kind} part`);
    }
    return part;
  }

  #add(index: number, part: LivePart): void {
    if (index !== this.live.length)
      throw new IllegalEvent(`part ${index} opened, but ${this.live.length} is the next free number`);
    this.live.push(part);
    this.touched.add(index);
    this.restructured = true;
  }

  #step(event: Exclude<Event, LaterEvent>): void {
    switch (event.type) {
      case "accepted":
        this.accepted = event;
        return;
      case "started":
        this.#started(event);
        return;
      case "checkpoint":
        if (this.live.some((part) => part.open))
          throw new IllegalEvent("a checkpoint cannot stand while a part is open");
        this.checkpoints.push([this.offset, this.live.length]);
        return;
      case "waiting": {
        const { type: _, span: __, part, kind, ...fields } = event;
        this.#add(part, new LivePart("wait", { ...fields, wait_kind: kind, decision: null }, true, "open"));
        return;
      }
      case "decided":
        this.#decided(event);
        return;
      case "part_started":
        this.#add(event.part, new LivePart(event.kind, { at: event.at }, true));
        return;
      case "delta":
        this.#delta(event);
        return;
      case "part_done":
        this.#partDone(event);
        return;
      case "tool_call":
        this.#add(event.part, new LivePart("tool", fieldsOf(event), true, "input"));
        return;
      case "tool_result":
        this.#toolResult(event);
        return;
      case "progress": {
        const { kind, state, ...fields } = fieldsOf(event) as unknown as EventOf<"progress">;
        this.#replace(event.part, "progress", { ...fields, step_kind: kind }, state);
        return;
      }
      case "data":
        this.#replace(event.part, "data", fieldsOf(event), "");
        return;
      case "source":
      case "file":
        this.#add(event.part, new LivePart(event.type, fieldsOf(event)));
        return;
      case "input": {
        const part = new LivePart("input", fieldsOf(event));
        part.shown.add(event.text);
        this.#add(event.part, part);
        return;
      }
      case "usage":
        this.usage = { ...event, span: 1 };
        this.restructured = true;
        return;
      default:
        this.#outcome(event);
        return;
    }
  }

  #started(event: StartedEvent): void {
    let count = this.live.length;
    let marks = this.checkpoints.length;
    if (event.keep === "none") count = marks = 0;
    else if (event.keep !== "all") {
      const place = this.checkpoints.findIndex(([offset]) => offset === event.keep);
      if (place < 0) throw new IllegalEvent(`keep=${event.keep} is not the offset of a checkpoint`);
      count = this.checkpoints[place]![1];
      marks = place + 1;
    }
    if (count < this.live.length) {
      this.#superseding(this.live.slice(count), event);
      for (let index = count; index < this.live.length; index++) this.touched.add(index);
      this.live.length = count;
    }
    this.checkpoints.length = marks;
    this.started = event;
    this.restructured = true;
  }

  #decided(event: EventOf<"decided">): void {
    const part = this.#part(event.part, "wait");
    if (!part.open || part.fields.wait_id !== event.wait_id)
      throw new IllegalEvent(`${event.wait_id} does not wait`);
    part.open = false;
    part.state = event.expired ? "expired" : "decided";
    part.fields = { ...part.fields, decision: event.decision };
    this.#changed(event.part);
  }

  #delta(event: EventOf<"delta">): void {
    const part = this.#part(event.part, "text", "reasoning", "tool");
    if (!part.open || part.state === "called")
      throw new IllegalEvent(`part ${event.part} takes no more text`);
    part.add(event.text);
    this.touched.add(event.part);
  }

  #partDone(event: EventOf<"part_done">): void {
    const part = this.#part(event.part, "text", "reasoning", "tool");
    if (!part.open || part.state === "called") throw new IllegalEvent(`part ${event.part} was complete`);
    if (part.kind === "tool") {
      part.state = "called";
      part.open = part.fields.where === "server";
    } else part.open = false;
    this.#changed(event.part);
  }

  #toolResult(event: EventOf<"tool_result">): void {
    const part = this.#part(event.part, "tool");
    if (part.state !== "called") throw new IllegalEvent(`part ${event.part} has no call to answer`);
    part.shown.add(event.output);
    part.result = event.output;
    part.state = event.is_error ? "failed" : "done";
    part.open = false;
    this.#changed(event.part);
  }

  #replace(index: number, kind: "progress" | "data", fields: PartFields, state: string): void {
    if (index === this.live.length) {
      this.#add(index, new LivePart(kind, fields, false, state));
      return;
    }
    const part = this.#part(index, kind);
    if (part.state !== state) this.restructured = true;
    part.fields = { ...fields, at: part.fields.at };
    part.state = state;
    this.touched.add(index);
  }

  #outcome(event: Outcome): void {
    this.outcome = { ...event, span: 1 };
    this.restructured = true;
    this.live.forEach((part, index) => {
      const running = part.kind === "progress" && part.state === "running";
      if (!part.open && !running) return;
      if (part.kind === "tool") part.state = "unknown";
      else if (part.kind === "wait") part.state = "closed";
      else if (running) part.state = event.type === "completed" ? "done" : "stopped";
      part.open = false;
      this.touched.add(index);
    });
  }

  #changed(index: number): void {
    this.touched.add(index);
    this.restructured = true;
  }
}

/** An event's own values: all but those of every event and the number of its part. */
function fieldsOf(event: Event & { readonly part: number | null }): PartFields {
  const { type: _, span: __, part: ___, ...fields } = event;
  return fields;
}

/** Fold events in order. Throws IllegalEvent at the first that does not fit. */
export function foldEvents(events: Iterable<Event>): Fold {
  const fold = new Fold();
  for (const event of events) fold.apply(event);
  return fold;
}
