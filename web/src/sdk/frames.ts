/** Writing commands, and telling replies from pushes. */
import {
  type CommandType,
  ERRORS,
  type ErrorReply,
  type FieldsOf,
  type Push,
  type Reply,
} from "./wire.gen.ts";

const PUSHES: ReadonlySet<string> = new Set<Push["type"]>([
  "snapshot",
  "page",
  "caught_up",
  "gone",
  "feed",
  "notice",
]);

/** The frame of a command. Fields that are undefined are left out. */
export function encode<K extends CommandType>(type: K, ref: number, fields: FieldsOf<K>): string {
  return JSON.stringify({ type, ref, ...fields });
}

export function isPush(message: Reply | Push): message is Push {
  return PUSHES.has(message.type);
}

/** What a caller is told whose reply makes no sense, so that nobody waits for ever. */
export function unexpected(ref: number): ErrorReply {
  return {
    type: "error",
    ref,
    code: "malformed",
    message: "The server's reply could not be read; reload the page to get the version that fits it.",
    retryable: ERRORS.malformed.retryable,
    retry_after_ms: null,
    request_id: null,
  };
}
