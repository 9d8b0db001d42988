/**
 * Reading what the server sends: any text gives a message whose every field is there and of its type, or nothing.
 *
 * The definitions are generated (wire.gen.ts); by them unknown fields are left out, missing
 * ones get their default, an event or a part of a later kind becomes `later` or `unknown` and does no harm.
 */
import {
  EVENTS,
  type Event,
  PARTS,
  type Push,
  type Reply,
  SERVER_MESSAGES,
  SHAPES,
  type Shape,
  type Transcript,
} from "./wire.gen.ts";

/** Characters of one frame that are read; a page is at most a quarter of a million bytes of text, which JSON may write six
 * times as long, and a list of long messages more. What is over it is dropped unread. */
export const FRAME_CHARS_MAX = 16 * 1024 * 1024;

/** What a frame was: a message, or why it is none. `ref` is that of a reply which could not be read. */
export type Decoded =
  | { readonly message: Reply | Push }
  | { readonly message: null; readonly why: "unreadable" | "unknown"; readonly ref: number | null };

class Unreadable extends Error {}

type Read = (value: unknown) => unknown;
type Fields = Readonly<Record<string, unknown>>;

const structs = new Map<string, Read>();

/** Read a frame. Never throws. */
export function decodeServer(data: unknown): Decoded {
  if (typeof data !== "string" || data.length > FRAME_CHARS_MAX) return unread("unreadable", null);
  let ref: number | null = null;
  try {
    const value: unknown = JSON.parse(data);
    if (!isObject(value) || typeof value.type !== "string") return unread("unreadable", null);
    if (isCount(value.ref)) ref = value.ref;
    const name = own(SERVER_MESSAGES, value.type);
    if (name === undefined) return unread("unknown", ref);
    return { message: struct(name)(value) as Reply | Push };
  } catch {
    // A SyntaxError, a wrong field, or nesting that exhausts the stack: the frame counts as unreadable, whichever it was.
    return unread("unreadable", ref);
  }
}

/** Read one event as it is on the wire or in a journal. Null if it is not even an event of a later release. */
export function parseEvent(value: unknown): Event | null {
  return attempt(() => readEvent(value) as Event);
}

/** Read a transcript as it is in a message's row. Null if it is none. */
export function parseTranscript(value: unknown): Transcript | null {
  return attempt(() => struct("Transcript")(value) as Transcript);
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function unread(why: "unreadable" | "unknown", ref: number | null): Decoded {
  return { message: null, why, ref };
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function demand(sound: boolean): void {
  if (!sound) throw new Unreadable();
}

/** The reader of a structure, made at its first use. */
function struct(name: string): Read {
  const known = structs.get(name);
  if (known) return known;
  const shape = own(SHAPES, name);
  if (!shape) throw new Unreadable();
  const fields = Object.entries(shape.fields).map(
    ([field, spec]) =>
      ({ field, read: reader(spec[0]), required: spec.length === 1, fallback: spec[1] }) as const,
  );
  const { tag } = shape;
  const read: Read = (value) => {
    demand(isObject(value));
    const given = value as Fields;
    const out: Record<string, unknown> = tag ? { [tag[0]]: tag[1] } : {};
    for (const { field, read, required, fallback } of fields) {
      const present = Object.hasOwn(given, field);
      demand(present || !required);
      out[field] = present ? read(given[field]) : fallback;
    }
    return out;
  };
  const whole = name === "MessageRow" ? withoutTranscript(read) : read;
  structs.set(name, whole);
  return whole;
}

/** A message whose transcript cannot be read keeps its place in the tree, and counts as damaged. */
function withoutTranscript(read: Read): Read {
  return (value) => {
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof Unreadable) || !isObject(value) || value.transcript == null) throw error;
      return read({ ...value, transcript: null, damaged: true });
    }
  };
}

const PLAIN: Readonly<Record<string, Read>> = {
  s: only((value) => typeof value === "string"),
  i: only(isCount),
  n: only((value) => typeof value === "number"),
  b: only((value) => typeof value === "boolean"),
  "0": only((value) => value === null),
  a: (value) => value,
  event: readEvent,
  part: readPart,
};

function only(sound: (value: unknown) => boolean): Read {
  return (value) => {
    demand(sound(value));
    return value;
  };
}

function reader(shape: Shape): Read {
  if (typeof shape === "string") return PLAIN[shape]!;
  switch (shape[0]) {
    case "list":
      return isRow(shape[1]) ? listOfReadable(reader(shape[1])) : listOf(reader(shape[1]));
    case "dict": {
      const read = reader(shape[1]);
      return only((value) => isObject(value) && reads(Object.values(value), () => read));
    }
    case "tuple": {
      const each = (shape.slice(1) as Shape[]).map(reader);
      return only(
        (value) =>
          Array.isArray(value) && value.length === each.length && reads(value, (index) => each[index]!),
      );
    }
    case "enum": {
      const values: ReadonlySet<unknown> = new Set(shape.slice(1));
      return only((value) => values.has(value));
    }
    case "either": {
      const each = (shape.slice(1) as Shape[]).map(reader);
      return (value) => firstThatReads(each, value);
    }
    case "struct": {
      const name = shape[1];
      return (value) => struct(name)(value); // looked up late: structures may hold one another
    }
    case "tagged": {
      const [, field, names] = shape;
      return (value) => {
        const name =
          isObject(value) && typeof value[field] === "string" ? own(names, value[field]) : undefined;
        demand(name !== undefined);
        return struct(name!)(value);
      };
    }
  }
}

/** True, unless one of the values cannot be read: then that throws. */
function reads(values: readonly unknown[], readerOf: (index: number) => Read): true {
  values.forEach((value, index) => {
    readerOf(index)(value);
  });
  return true;
}

function listOf(read: Read): Read {
  return (value) => {
    demand(Array.isArray(value));
    return (value as unknown[]).map((each) => read(each));
  };
}

/** Rows stand each for itself: one that cannot be read (damaged, or of a later release) must not take the others along. */
function isRow(shape: Shape): boolean {
  if (typeof shape === "string") return false;
  if (shape[0] === "struct") return shape[1].endsWith("Row");
  return shape[0] === "tagged" && Object.values(shape[2]).every((name) => name.startsWith("Feed"));
}

function listOfReadable(read: Read): Read {
  return (value) => {
    demand(Array.isArray(value));
    return (value as unknown[]).flatMap((each) => {
      try {
        return [read(each)];
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        return [];
      }
    });
  };
}

function firstThatReads(choices: readonly Read[], value: unknown): unknown {
  for (const read of choices) {
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
    }
  }
  throw new Unreadable();
}

/** An event; one of a kind that is not known, or with a value that is not in its table, becomes a later one. */
function readEvent(value: unknown): unknown {
  demand(isObject(value));
  const given = value as Fields;
  const kind = given.type;
  demand(typeof kind === "string");
  const name = own(EVENTS, kind as string);
  if (name !== undefined) {
    try {
      return struct(name)(value);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
    }
  }
  const { at = 0, span = 1, part } = given;
  demand(isCount(at) && isCount(span));
  return { type: "later", kind, at, span, part: isCount(part) ? part : null };
}

/** A part of a transcript; one that is not understood keeps its place and shows nothing. */
function readPart(value: unknown): unknown {
  demand(isObject(value));
  const given = value as Fields;
  const kind = typeof given.kind === "string" ? given.kind : "";
  const name = own(PARTS, kind);
  if (name !== undefined) {
    try {
      return struct(name)(value);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
    }
  }
  return { kind: "unknown", at: isCount(given.at) ? given.at : 0, event: kind };
}
