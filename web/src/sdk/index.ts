/** The browser client: connect, submit, follow, cancel, feed, outbox. No framework in it. */
export { Answer } from "./answer.ts";
export { Client } from "./client.ts";
export { parseEvent, parseTranscript } from "./decode.ts";
export type { Digest } from "./digest.ts";
export { CommandError } from "./errors.ts";
export { DISTRUSTED, Feed } from "./feed.ts";
export { Fold, foldEvents, IllegalEvent } from "./fold.ts";
export type { FeedRow } from "./happenings.ts";
export { indexedDbOutbox } from "./indexeddb_outbox.ts";
export type { CallOptions, ClientOptions } from "./options.ts";
export { memoryOutbox, type OutboxStore } from "./outbox_store.ts";
export type {
  DataPart,
  FilePart,
  InPieces,
  InputPart,
  Part,
  ProgressPart,
  ReasoningPart,
  SourcePart,
  TextPart,
  ToolPart,
  UnknownPart,
  WaitPart,
} from "./parts.ts";
export { NO_PART, transcriptParts } from "./parts.ts";
export { type Queued, waitingSentence } from "./queueing.ts";
export { type Batch, Cell, Listeners, type Readable } from "./readable.ts";
export type * from "./state.ts";
export { newId, type Surroundings, type Timers } from "./surroundings.ts";
export type * from "./wire.gen.ts";
export { CLOSE_CODES, ERRORS, LIMITS, LIVE_STATUSES, OUTCOME_STATUSES, TRANSITIONS } from "./wire.gen.ts";
