/** One line of a story: what it says, in values, and how its figures are written. */
import type { Event as LogEvent } from "@sdk";

/** What a line is about. */
export type LineKind =
  | "accepted"
  | "queued"
  | "attempt"
  | "text"
  | "reasoning"
  | "tool"
  | "progress"
  | "wait"
  | "note"
  | "superseded"
  | "outcome";

/** How it went, for the colour. */
export type LineTone = "plain" | "run" | "ok" | "wait" | "fail";

/** One line. Times in ms since 1970; `until` is null while it lasts, and `from` for what has no length. */
export interface Line {
  readonly key: string;
  readonly kind: LineKind;
  /** Its own name: the tool's, the step's label, why an attempt began. */
  readonly name: string;
  readonly tone: LineTone;
  readonly from: number;
  readonly until: number | null;
  /** The time of its last event. */
  readonly latest: number;
  /** The places of its events in the log, first and last, and how many of those between are its own. */
  readonly first: number;
  readonly last: number;
  readonly events: number;
  /** The part that its events name; null for lines about the request itself. */
  readonly part: number | null;
  readonly attempt: number;
  /** A later attempt took it back. */
  readonly dropped: boolean;
  /** Log deltas, and the UTF-8 bytes of their texts. */
  readonly deltas: number;
  readonly bytes: number;
  /** What it says besides, in words: a result's size, an outcome's sentence. */
  readonly more: string;
  /** An attempt's first output and its checkpoints. */
  readonly firstOutputAt: number | null;
  readonly checkpoints: readonly number[];
}

const encoder = new TextEncoder();

/** Whether an event between a line's first and last is its own; a line without a part owns all of them. */
export function belongs(event: LogEvent, part: number | null): boolean {
  return part === null || ("part" in event && event.part === part);
}

/** The UTF-8 length of a text. */
export function bytesOf(text: string): number {
  // Most deltas are a word of plain letters; only the others are encoded to be measured.
  for (let index = 0; index < text.length; index += 1)
    if (text.charCodeAt(index) > 127) return encoder.encode(text).length;
  return text.length;
}

/** 412 B, 3.1 kB, 2.0 MB. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** A value as short JSON, at most 80 characters: for a line, not for reading in full. */
export function shortJson(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
