/** The chunks fold, in the AI SDK's own reader, to what the answer shows. */
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai";
import { describe, expect, it } from "vitest";
import type { AnswerState, Part } from "../sdk/index.ts";
import { ChunkTeller } from "./chunks.ts";

const QUIET: AnswerState = {
  requestId: "r-1",
  chatId: "c-1",
  messageId: "m-1",
  parentId: null,
  delivery: "accepted",
  refusal: null,
  status: "running",
  agent: "demo",
  attempt: 1,
  reason: "first",
  parts: [],
  superseded: [],
  acceptedAt: 1,
  startedAt: 1,
  firstOutputAt: null,
  endedAt: null,
  usage: null,
  outcome: null,
  queued: null,
  offset: 0,
  sync: "live",
  lostReason: "",
  verified: true,
};

/** A state; with an outcome it has all that the log holds. */
function stateOf(given: Partial<AnswerState>): AnswerState {
  return { ...QUIET, sync: given.outcome ? "ended" : "live", ...given };
}

const DONE = { type: "completed", at: 9, code: "stop", message: "" } as NonNullable<AnswerState["outcome"]>;

function text(chunks: readonly string[], open = true): Part {
  return { kind: "text", at: 1, text: chunks.join(""), open, chunks };
}

function tool(state: "input" | "called" | "done" | "failed", chunks: readonly string[], result = ""): Part {
  return {
    kind: "tool",
    at: 1,
    call_id: "t-1",
    name: "look",
    where: "server",
    arguments: chunks.join(""),
    result,
    state,
    chunks,
  };
}

async function folded(
  states: Partial<AnswerState>[],
): Promise<{ chunks: UIMessageChunk[]; message: UIMessage }> {
  const teller = new ChunkTeller("r-1");
  const chunks = states.flatMap((state) => teller.tell(stateOf(state)));
  const stream = new ReadableStream<UIMessageChunk>({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  let message: UIMessage = { id: "", role: "assistant", parts: [] };
  for await (const state of readUIMessageStream({ stream })) message = state;
  return { chunks, message };
}

function texts(message: UIMessage): string[] {
  return message.parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
}

describe("ChunkTeller", () => {
  it("tells a growing text piece by piece, each once", async () => {
    const pieces = ["Hel"];
    const first = { parts: [text(pieces)] };
    const teller = new ChunkTeller("r-1");
    teller.tell({ ...QUIET, ...first });
    pieces.push("lo", ".");
    const more = teller.tell({ ...QUIET, parts: [text(pieces)] });
    expect(more).toEqual([{ type: "text-delta", id: "r-1.0.0", delta: "lo." }]);
    expect(teller.tell({ ...QUIET, parts: [text(pieces)] })).toEqual([]);
  });

  it("ends with the answer's id, text and usage", async () => {
    const usage = { type: "usage", at: 1, input_tokens: 3, output_tokens: 4 } as AnswerState["usage"];
    const { message, chunks } = await folded([
      { parts: [text(["Hello."])] },
      { parts: [text(["Hello."], false)], outcome: DONE, usage, status: "completed" },
    ]);
    expect(message.id).toBe("r-1");
    expect(texts(message)).toEqual(["Hello."]);
    expect(chunks.at(-1)).toMatchObject({ type: "finish", finishReason: "stop", messageMetadata: { usage } });
  });

  it("takes back what a new attempt dropped", async () => {
    const { message } = await folded([
      { parts: [text(["Wrong"])] },
      { parts: [], attempt: 2 },
      { parts: [text(["Right."], false)], attempt: 2, outcome: DONE },
    ]);
    expect(texts(message)).toEqual(["Right."]);
  });

  it("takes back a text that a snapshot replaced with another, even when no fewer parts are shown", async () => {
    const { message } = await folded([
      { parts: [text(["Kept."], false), text(["Wrong"])] },
      { parts: [text(["Kept."], false), text(["Right, and longer."], false)], outcome: DONE },
    ]);
    expect(texts(message)).toEqual(["Kept.", "Right, and longer."]);
  });

  it("goes on in a text that a snapshot told anew", async () => {
    const { message, chunks } = await folded([
      { parts: [text(["Hel", "lo"])] },
      { parts: [text(["Hello, world"], false)], outcome: DONE },
    ]);
    expect(texts(message)).toEqual(["Hello, world"]);
    expect(chunks.filter((chunk) => chunk.type === "reset-step")).toEqual([]);
  });

  it("tells a tool call with its arguments and its result", async () => {
    const { message } = await folded([
      { parts: [tool("input", ['{"q":'])] },
      { parts: [tool("called", ['{"q":', "1}"])] },
      { parts: [tool("done", ['{"q":', "1}"], '{"found":2}')], outcome: DONE },
    ]);
    expect(message.parts).toContainEqual(
      expect.objectContaining({
        toolCallId: "t-1",
        input: { q: 1 },
        output: { found: 2 },
        state: "output-available",
      }),
    );
  });

  it("takes back a tool call, a source and an ended text that are others now, though no fewer parts are shown", async () => {
    const call = tool("done", ["{}"], "1");
    const source = (url: string): Part => ({ kind: "source", at: 1, id: "s", url, title: "" }) as Part;
    const replaced: [Part, Part][] = [
      [call, { ...call, call_id: "t-2" } as Part],
      [call, tool("called", ["{}"])],
      [source("https://one.example"), source("https://two.example")],
      [text(["Done."], false), text(["Done. And more."], false)],
    ];
    for (const [before, after] of replaced) {
      const { message, chunks } = await folded([{ parts: [before] }, { parts: [after], outcome: DONE }]);
      expect(chunks.filter(({ type }) => type === "reset-step")).toHaveLength(1);
      expect(message.parts.filter(({ type }) => type !== "step-start")).toHaveLength(1);
    }
  });

  it("tells data again in its place, and only when it changed", async () => {
    const data = (percent: number): Part =>
      ({ kind: "data", at: 1, name: "load", data: { percent } }) as Part;
    const { message, chunks } = await folded([
      { parts: [data(1)] },
      { parts: [data(1)] },
      { parts: [data(2)], outcome: DONE },
    ]);
    expect(chunks.filter(({ type }) => type === "data-load")).toHaveLength(2);
    expect(message.parts).toContainEqual(
      expect.objectContaining({ type: "data-load", data: { percent: 2 } }),
    );
  });

  it("waits for the log where the feed knows the outcome first, and takes nothing back while a snapshot comes", () => {
    const teller = new ChunkTeller("r-1");
    teller.tell({ ...QUIET, parts: [text(["Hel"])] });
    expect(teller.tell({ ...QUIET, parts: [text(["Hel"])], outcome: DONE, sync: "live" })).toEqual([]);
    expect(teller.tell({ ...QUIET, parts: [], sync: "snapshot" })).toEqual([]);
    const last = teller.tell(stateOf({ parts: [text(["Hello."], false)], outcome: DONE }));
    expect(last[0]).toEqual({ type: "text-delta", id: "r-1.0.0", delta: "lo." });
    expect(teller.ended).toBe(true);
  });

  it("tells status and attempt once there is something to see", () => {
    const teller = new ChunkTeller("r-1");
    const metadata = (state: Partial<AnswerState>) =>
      teller.tell({ ...QUIET, ...state }).filter(({ type }) => type === "message-metadata");
    expect(metadata({ status: "queued", agent: "" })).toEqual([]);
    expect(metadata({ status: "running" })).toEqual([]);
    expect(metadata({ parts: [text(["Hel"])] })).toMatchObject([
      { messageMetadata: { status: "running", agent: "demo" } },
    ]);
    expect(metadata({ parts: [text(["Hel"])] })).toEqual([]);
    expect(metadata({ parts: [text(["Hel"])], attempt: 2 })).toMatchObject([
      { messageMetadata: { attempt: 2 } },
    ]);
  });

  it("ends in an error when the request failed, and in an abort when it was cancelled", async () => {
    const failed = {
      type: "failed",
      at: 9,
      code: "upstream",
      message: "No answer.",
    } as AnswerState["outcome"];
    const teller = new ChunkTeller("r-1");
    expect(teller.tell(stateOf({ outcome: failed })).at(-1)).toEqual({
      type: "error",
      errorText: "No answer.",
    });
    expect(teller.ended).toBe(true);
    const cancelled = { type: "cancelled", at: 9, message: "" } as AnswerState["outcome"];
    expect(new ChunkTeller("r-2").tell(stateOf({ outcome: cancelled })).at(-1)).toMatchObject({
      type: "abort",
    });
  });
});
