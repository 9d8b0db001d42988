import { expect, it } from "vitest";
import { announcement, isLive, whyItEnded } from "./statusWords.ts";

it("an answer is announced when it starts, ends, fails or needs the person, and never twice", () => {
  expect(announcement("queued", "running", "")).toBe("The answer has started.");
  expect(announcement("running", "running", "")).toBe("");
  expect(announcement("running", "waiting", "")).toBe("The answer needs your decision.");
  expect(announcement("waiting", "running", "")).toBe("");
  expect(announcement("running", "completed", "")).toBe("The answer is complete.");
  expect(announcement("running", "timed_out", "")).toBe("The answer failed.");
  expect(announcement("unsent", "queued", "")).toBe("");
});

it("what went wrong is said in the server's words, and what the person stopped did not go wrong", () => {
  const failed = { type: "failed", code: "upstream", message: "The model is busy; try again." };
  expect(whyItEnded("failed", failed as never)).toBe("The model is busy; try again.");
  expect(whyItEnded("interrupted", null)).toBe("This answer was interrupted.");
  expect(whyItEnded("cancelled", null)).toBe("");
  expect(whyItEnded("completed", null)).toBe("");
});

it("what is not sent yet is live too", () => {
  expect(isLive("unsent")).toBe(true);
  expect(isLive("completed")).toBe(false);
  expect(isLive(null)).toBe(false);
});
