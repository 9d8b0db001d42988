/** The sentences on a queued request against the vectors that every client shares. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { waitingSentence } from "./queueing.ts";

interface Vector {
  place: number | null;
  reason: string | null;
  estimate_ms: number | null;
  sentence: string;
}
const file = new URL("../../../protocol/vectors/queueing.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vector[];

it.each(vectors)("says: $sentence", ({ place, reason, estimate_ms, sentence }) => {
  expect(waitingSentence({ place, reason, estimateMs: estimate_ms })).toBe(sentence);
});
