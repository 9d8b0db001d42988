/** A request's log as the few lines a person can read: what began, how long it lasted, which events it is made of.

Events go in one by one, in order; each either opens a line, or is counted in one that is open. So a hundred thousand deltas
are one line, and a page of new events costs its own length. What `started` drops (see the protocol's rule on superseding)
stays on the page, marked as dropped. */
import type { Event as LogEvent, Outcome, UsageEvent } from "@sdk";
import { bytesOf, formatBytes, type Line, shortJson } from "./line.ts";
import { type Draft, StoryLines } from "./storyLines.ts";
import { Pulse } from "./timeScale.ts";

/** Checkpoints drawn on an attempt's bar. */
const CHECKPOINTS_MAX = 200;

/** Why an attempt began, as people read it. */
const REASONS: Record<string, string> = {
  first: "first try",
  retry: "tried again",
  recovered: "taken up after a crash",
  resumed: "gone on after the wait",
  handed_over: "handed over at a restart",
};

const OUTPUT: readonly string[] = ["part_started", "tool_call", "progress", "data", "source", "file"];

/** The lines of one log, in the making. */
export class Story {
  readonly #page = new StoryLines();
  readonly #checkpoints: { offset: number; parts: number }[] = [];
  #attempt: Draft | null = null;
  #queued: Draft | null = null;
  #wait: Draft | null = null;
  #offset = 0;
  #usage: UsageEvent | null = null;
  #outcome: Outcome | null = null;
  #short = false;
  readonly #pulse = new Pulse();

  /** Lines that were not made, because there are LINES_MAX. */
  get left(): number {
    return this.#page.left;
  }
  /** The latest usage. */
  get usage(): UsageEvent | null {
    return this.#usage;
  }
  /** How it ended. */
  get outcome(): Outcome | null {
    return this.#outcome;
  }
  /** Whether this is not the log as it was written, but a short one with the same result (after a purge). */
  get short(): boolean {
    return this.#short;
  }
  /** The number of the latest attempt, 0 before the first. */
  get attempts(): number {
    return this.#page.attempts;
  }

  /** When something was written, thinned: for the time axis. */
  instants(): readonly number[] {
    return this.#pulse.instants();
  }

  /** Take the event at this place in the log. */
  add(event: LogEvent, place: number): void {
    if (event.span !== 1) this.#short = true;
    this.#pulse.add(event.at);
    if (this.#attempt && this.#attempt.firstOutputAt === null && OUTPUT.includes(event.type))
      this.#attempt.firstOutputAt = event.at;
    if (this.#attempt) {
      this.#attempt.last = place;
      this.#attempt.latest = event.at;
      this.#attempt.events += 1;
    }
    this.#take(event, place);
    this.#offset += event.span;
  }

  /** The lines so far, in the order in which they began; values that later events do not change. */
  lines(): readonly Line[] {
    return this.#page.copied();
  }

  #take(event: LogEvent, place: number): void {
    switch (event.type) {
      case "accepted":
        this.#page.line(event, place, { kind: "accepted", name: event.agent, until: event.at });
        this.#queued = this.#page.line(event, place, { kind: "queued", tone: "plain", events: 0 });
        return;
      case "started":
        this.#started(event, place);
        return;
      case "checkpoint":
        this.#checkpoints.push({ offset: this.#offset, parts: this.#page.parts });
        if (this.#attempt && this.#attempt.checkpoints.length < CHECKPOINTS_MAX)
          this.#attempt.checkpoints.push(event.at);
        return;
      case "part_started":
        this.#page.opens(
          event.part,
          this.#page.line(event, place, { kind: event.kind, tone: "run", part: event.part }),
        );
        return;
      case "tool_call": {
        const more = event.where === "client" ? "runs in the client" : "";
        this.#page.opens(
          event.part,
          this.#page.line(event, place, {
            kind: "tool",
            name: event.name,
            tone: "run",
            part: event.part,
            more,
          }),
        );
        return;
      }
      case "delta":
        this.#page.counted(event.part, event, place, (line) => {
          line.deltas += event.span || 1;
          line.bytes += bytesOf(event.text);
        });
        return;
      case "part_done":
        this.#page.counted(event.part, event, place, (line) => {
          if (line.kind === "tool") return;
          line.until = event.at;
          line.tone = "plain";
        });
        return;
      case "tool_result":
        this.#page.counted(event.part, event, place, (line) => {
          line.until = event.at;
          line.tone = event.is_error ? "fail" : "ok";
          line.more = `${event.is_error ? "failed" : "returned"} ${formatBytes(bytesOf(event.output))}`;
        });
        return;
      case "progress":
        this.#progress(event, place);
        return;
      case "data":
        if (!this.#page.open.has(event.part))
          this.#page.note(event, place, event.part, `Data: ${event.name}`);
        else
          this.#page.counted(event.part, event, place, (line) => {
            line.until = event.at;
          });
        return;
      case "source":
        this.#page.note(event, place, event.part, `Source: ${event.title || event.url}`);
        return;
      case "file":
        this.#page.note(event, place, event.part, `File: ${event.name || event.url}`);
        return;
      case "input":
        this.#page.note(event, place, event.part, "The person added something");
        return;
      case "usage":
        this.#usage = event;
        return;
      case "waiting":
        this.#endAttempt(event.at);
        this.#wait = this.#page.line(event, place, {
          kind: "wait",
          name: event.kind,
          tone: "wait",
          part: event.part,
        });
        this.#page.opens(event.part, this.#wait);
        return;
      case "decided":
        this.#page.counted(event.part, event, place, (line) => {
          // The wait was over when the decision was taken up, and `started` says that first.
          line.tone = event.expired ? "fail" : "ok";
          line.more = event.expired ? "expired" : `decided: ${shortJson(event.decision)}`;
          line.until ??= event.at;
        });
        return;
      case "later":
        if (event.part !== null && event.part === this.#page.parts)
          this.#page.note(event, place, event.part, `Unknown: ${event.kind}`);
        return;
      default:
        this.#ends(event, place);
        return;
    }
  }

  #started(event: LogEvent & { type: "started" }, place: number): void {
    if (this.#queued) this.#queued.until = event.at;
    this.#queued = null;
    if (this.#wait?.until === null) this.#wait.until = event.at;
    this.#wait = null;
    this.#endAttempt(event.at);
    this.#page.attempts = Math.max(this.#page.attempts, event.attempt);
    this.#drop(event, place);
    this.#attempt = this.#page.line(event, place, {
      kind: "attempt",
      name: REASONS[event.reason] ?? event.reason,
      tone: "run",
      attempt: event.attempt,
    });
  }

  #drop(event: LogEvent & { type: "started" }, place: number): void {
    if (event.keep === "all") return;
    const keep = this.#checkpoints.findIndex((one) => one.offset === event.keep);
    const parts = this.#checkpoints[keep]?.parts ?? 0;
    this.#checkpoints.length = keep + 1;
    const gone = this.#page.parts - parts;
    for (const [part, line] of [...this.#page.open]) {
      if (part < parts) continue;
      line.dropped = true;
      line.until ??= event.at;
      if (line.tone === "run") line.tone = "plain";
      this.#page.open.delete(part);
    }
    this.#page.parts = parts;
    if (gone > 0)
      this.#page.line(event, place, {
        kind: "superseded",
        name: parts > 0 ? "back to the checkpoint" : "from the beginning",
        more: gone === 1 ? "1 part superseded" : `${gone} parts superseded`,
        until: event.at,
        events: 0,
        attempt: event.attempt,
      });
  }

  #progress(event: LogEvent & { type: "progress" }, place: number): void {
    const line = this.#page.open.get(event.part);
    const until = event.state === "running" ? null : event.at;
    const tone = event.state === "running" ? "run" : event.state === "done" ? "ok" : "fail";
    const steps = event.step !== null && event.total !== null ? `step ${event.step} of ${event.total}` : "";
    const more = [steps, event.percent !== null ? `${Math.round(event.percent)} %` : ""]
      .filter(Boolean)
      .join(", ");
    if (!line) {
      this.#page.opens(
        event.part,
        this.#page.line(event, place, {
          kind: "progress",
          name: event.label,
          tone,
          part: event.part,
          until,
          more,
        }),
      );
      return;
    }
    this.#page.counted(event.part, event, place, () =>
      Object.assign(line, { name: event.label, tone, until, more }),
    );
  }

  #ends(event: Outcome, place: number): void {
    this.#outcome = event;
    this.#endAttempt(event.at);
    const completed = event.type === "completed";
    for (const line of this.#page.all) {
      if (line.until !== null) continue;
      line.until = event.at;
      if (line.tone === "run" && line.kind === "tool") line.more ||= "no result: it may or may not have run";
      if (line.tone === "wait") line.more ||= "nobody decided";
      if (line.tone === "run") line.tone = "plain";
    }
    this.#page.line(event, place, {
      kind: "outcome",
      name: event.type,
      tone: completed ? "ok" : event.type === "cancelled" ? "plain" : "fail",
      until: event.at,
      more: event.message || event.code,
    });
  }

  #endAttempt(at: number): void {
    if (!this.#attempt) return;
    this.#attempt.until = at;
    this.#attempt.tone = "plain";
    this.#attempt = null;
  }
}
