/** The fold and the digest against the vectors that every reader of the protocol shares. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Crc } from "./crc32.ts";
import { parseEvent, parseTranscript } from "./decode.ts";
import { digestOf } from "./digest.ts";
import { Fold, foldEvents, IllegalEvent } from "./fold.ts";
import type { Event } from "./wire.gen.ts";

const VECTORS = new URL("../../../protocol/vectors/", import.meta.url);

interface FoldVector {
  name: string;
  events: unknown[];
  transcript: unknown;
  digests: [number, number, string][];
  snapshot: unknown[];
}
interface DigestVector {
  name: string;
  parts: { kind: string; pieces: string[] }[];
  lines: string[];
  digest: { parts: number; bytes: number; crc: string };
}

const folds = read<FoldVector[]>("fold.json");
const digests = read<DigestVector[]>("digest.json");

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, VECTORS), "utf8")) as T;
}

function eventsOf(values: unknown[]): Event[] {
  return values.map((value) => parseEvent(value)!);
}

/** A number from 0 up to 1 from a seed, the same each time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("fold", () => {
  it.each(folds)("gives the transcript and the digest after each event: $name", (vector) => {
    const fold = new Fold();
    eventsOf(vector.events).forEach((event, index) => {
      fold.apply(event);
      const { parts, bytes, crc } = fold.digest();
      expect([parts, bytes, crc]).toEqual(vector.digests[index]);
    });
    expect(fold.transcript()).toEqual(parseTranscript(vector.transcript));
  });

  it.each(folds)("gives the same from the short log: $name", (vector) => {
    const short = foldEvents(eventsOf(vector.snapshot));
    expect(short.transcript()).toEqual(parseTranscript(vector.transcript));
    expect(short.digest()).toEqual(foldEvents(eventsOf(vector.events)).digest());
  });

  it("is the same however deltas are cut, and tells readers the same text", () => {
    const random = dice(7);
    for (const vector of folds) {
      const whole = foldEvents(eventsOf(vector.events));
      const cut = foldEvents(eventsOf(vector.events).flatMap((event) => cutUp(event, random)));
      expect({ ...cut.digest() }).toEqual(whole.digest());
      const texts = (fold: Fold) =>
        fold.transcript().parts.map((part) => ("text" in part ? part.text : part.kind));
      expect(texts(cut)).toEqual(texts(whole));
      for (const part of cut.parts()) if (part.kind === "text") expect(part.chunks.join("")).toBe(part.text);
    }
  });

  it("refuses what the lifecycle does not permit, and then nothing has changed", () => {
    for (const vector of folds) {
      const fold = foldEvents(eventsOf(vector.events));
      const before = fold.transcript();
      expect(() => fold.apply({ type: "delta", at: 1, span: 1, part: 999, text: "x" })).toThrow(IllegalEvent);
      expect(fold.transcript()).toEqual(before);
    }
  });

  it("keeps a view as it was when the part grows", () => {
    const fold = foldEvents(eventsOf(folds.find((vector) => vector.name === "an open text")!.events));
    const index = fold.live.findIndex((part) => part.kind === "text" && part.open);
    const view = fold.live[index]!.view();
    if (view.kind !== "text") throw new Error("not a text");
    const before = view.text;
    fold.apply({ type: "delta", at: 1, span: 1, part: index, text: "more" });
    const grown = fold.parts()[index]!;
    expect("text" in grown && grown.text).toBe(`${before}more`);
    expect(view.text).toBe(before);
    expect(fold.parts()[index]).toMatchObject({ text: `${before}more`, chunks: view.chunks });
  });

  it("notes only what a delta touched", () => {
    const fold = foldEvents(eventsOf(folds.find((vector) => vector.name === "an open text")!.events));
    fold.touched.clear();
    fold.restructured = false;
    const index = fold.live.findIndex((part) => part.open);
    fold.apply({ type: "delta", at: 1, span: 1, part: index, text: "more" });
    expect([...fold.touched]).toEqual([index]);
    expect(fold.restructured).toBe(false);
  });
});

/** The same event in up to three pieces; a surrogate pair may be cut in two. */
function cutUp(event: Event, random: () => number): Event[] {
  if (event.type !== "delta" || event.text.length < 2) return [event];
  const at = 1 + Math.floor(random() * (event.text.length - 1));
  return [
    { ...event, text: event.text.slice(0, at) },
    { ...event, span: 0, text: event.text.slice(at) },
  ];
}

describe("digest", () => {
  it.each(digests)("is that of the vector: $name", ({ parts, lines, digest }) => {
    const covered = parts.map(({ kind, pieces }) => {
      const shown = new Crc();
      for (const piece of pieces) shown.add(piece);
      return { kind, shown };
    });
    expect(covered.map(({ kind, shown }) => `${kind}:${shown.bytes}:${shown.hex}`)).toEqual(lines);
    expect(digestOf(covered)).toEqual(digest);
  });

  it("is the same for every cut of a text, in the middle of a character too", () => {
    const text = "aé漢𝔘👩‍👧\u0000\u2028z";
    const whole = new Crc();
    whole.add(text);
    expect(whole.bytes).toBe(new TextEncoder().encode(text).length);
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second++) {
        const cut = new Crc();
        for (const piece of [text.slice(0, first), text.slice(first, second), text.slice(second)])
          cut.add(piece);
        expect([cut.bytes, cut.hex]).toEqual([whole.bytes, whole.hex]);
      }
    }
  });
});
