/** The parts of an answer as readers see them: the wire's, with their text in pieces for those who read only what is new. */
import type * as wire from "./wire.gen.ts";

/** What a part with growing text has besides. */
export interface InPieces {
  /** The text in the pieces in which it came. While an answer is followed the array is only ever added to, so a reader
   * that has taken n pieces goes on at n; another array means another text. It may already hold more than `text`, which is
   * the text as it was when readers were last told. */
  readonly chunks: readonly string[];
}

/** Text of the answer. `text` is put together when it is asked for, which costs its length. */
export type TextPart = wire.TextPart & InPieces;
/** What the model thought on the way. */
export type ReasoningPart = wire.ReasoningPart & InPieces;
/** A tool call; `chunks` are the pieces of `arguments`. */
export type ToolPart = wire.ToolPart & InPieces;
export type ProgressPart = wire.ProgressPart;
export type DataPart = wire.DataPart;
export type SourcePart = wire.SourcePart;
export type FilePart = wire.FilePart;
export type InputPart = wire.InputPart;
export type WaitPart = wire.WaitPart;
export type UnknownPart = wire.UnknownPart;

/** One part of an answer, told apart by `kind`. */
export type Part =
  | TextPart
  | ReasoningPart
  | ToolPart
  | ProgressPart
  | DataPart
  | SourcePart
  | FilePart
  | InputPart
  | WaitPart
  | UnknownPart;

/** What `part(index)` shows where there is no such part. */
export const NO_PART: UnknownPart = Object.freeze({ kind: "unknown", at: 0, event: "" });

/** The parts of a finished transcript (a MessageRow's), for the same renderers as live ones. */
export function transcriptParts(transcript: wire.Transcript): readonly Part[] {
  return transcript.parts.map(withPieces);
}

function withPieces(part: wire.TranscriptPart): Part {
  if (part.kind === "text" || part.kind === "reasoning")
    return { ...part, chunks: part.text ? [part.text] : [] };
  if (part.kind === "tool") return { ...part, chunks: part.arguments ? [part.arguments] : [] };
  return part;
}
