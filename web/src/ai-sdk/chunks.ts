/** What an answer shows, as the AI SDK's UI message chunks: a pure step from what was told to what is now.

The whole answer is one step of the UI message. When a new attempt drops what was shown, `reset-step` takes the step back
and what stands is told again, so the reader's message always equals the answer. Texts are told piece by piece from where
the last step ended; a part whose pieces are another array (a snapshot took its place) goes on if it begins with what was
told, and is a reset otherwise. */
import type { FinishReason, UIMessageChunk } from "ai";
import type { AnswerState, Part } from "../sdk/index.ts";

/** What has been told of one part. */
interface Told {
  readonly kind: Part["kind"];
  readonly id: string;
  /** What it is called where it was announced: two parts of one kind with different names are two parts. */
  readonly name: string;
  /** The part as it was when it was told last; while it is the same there is nothing to tell. */
  part: Part | null;
  pieces: readonly string[] | null;
  taken: number;
  text: string;
  mark: string;
  done: boolean;
}

/** One answer on its way into one UI message. Feed it every state, in order; it gives the chunks to send. */
export class ChunkTeller {
  readonly #requestId: string;
  #told: Told[] = [];
  #metadata: MessageMetadata | null = null;
  #life = 0;
  #began = false;
  #ended = false;

  constructor(requestId: string) {
    this.#requestId = requestId;
  }

  /** Whether the last chunk has been given. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The chunks that lead from the state told before to this one. */
  tell(state: AnswerState): UIMessageChunk[] {
    const out: UIMessageChunk[] = [];
    if (this.#ended) return out;
    if (!this.#began) {
      this.#began = true;
      this.#metadata = metadataOf(state);
      out.push({ type: "start", messageId: this.#requestId, messageMetadata: this.#metadata });
      out.push({ type: "start-step" });
    }
    if (state.refusal !== null && state.delivery === "refused") return this.#end(out, state.refusal.message);
    if (state.sync === "lost") return this.#end(out, state.lostReason);
    // While a snapshot is on its way the answer is not whole: what stands is not taken back for what is about to come again.
    if (state.sync === "snapshot" && state.outcome === null && state.parts.length < this.#told.length)
      return out;
    if (!this.#continues(state.parts)) {
      out.push({ type: "reset-step" });
      this.#told = [];
      this.#life += 1;
    }
    state.parts.forEach((part, index) => {
      this.#tellPart(part, index, out);
    });
    if (this.#told.length > 0) this.#tellMetadata(state, out);
    // The feed may know the outcome before the log brought the last text; the answer has ended when both are there.
    if (state.outcome !== null && state.sync === "ended") this.#close(state, out);
    return out;
  }

  /** Whether these parts only add to what was told. */
  #continues(parts: readonly Part[]): boolean {
    if (parts.length < this.#told.length) return false;
    return this.#told.every((told, index) => told.part === parts[index] || adds(told, parts[index]!));
  }

  #tellPart(part: Part, index: number, out: UIMessageChunk[]): void {
    let told = this.#told[index];
    if (told === undefined) {
      const id = `${this.#requestId}.${this.#life}.${index}`;
      const { kind } = part;
      told = {
        kind,
        id,
        name: nameOf(part),
        part: null,
        pieces: null,
        taken: 0,
        text: "",
        mark: "",
        done: false,
      };
      this.#told[index] = told;
      if (kind === "text" || kind === "reasoning") out.push({ type: `${kind}-start`, id });
      if (kind === "tool") out.push({ type: "tool-input-start", ...callOf(part) });
    }
    if (told.part === part) return;
    told.part = part;
    if (part.kind === "text" || part.kind === "reasoning") {
      const delta = news(told, part.chunks);
      if (delta) out.push({ type: `${part.kind}-delta`, id: told.id, delta });
      if (!part.open && !told.done) {
        told.done = true;
        out.push({ type: `${part.kind}-end`, id: told.id });
      }
    } else if (part.kind === "tool") {
      const inputTextDelta = news(told, part.chunks);
      if (inputTextDelta) out.push({ type: "tool-input-delta", toolCallId: part.call_id, inputTextDelta });
      tellTool(part, told, out);
    } else {
      const chunk = wholePart(part, told.id);
      const mark = chunk === null ? "" : JSON.stringify(chunk);
      if (chunk !== null && mark !== told.mark) out.push(chunk);
      told.mark = mark;
    }
  }

  /** Tells agent, attempt, status and usage when they are others. Not before the first part: until then `useChat` says
   * `submitted`, and metadata would make that `streaming`. */
  #tellMetadata(state: AnswerState, out: UIMessageChunk[]): void {
    const now = metadataOf(state);
    const before = this.#metadata;
    if (before !== null && METADATA.every((key) => before[key] === now[key])) return;
    this.#metadata = now;
    out.push({ type: "message-metadata", messageMetadata: now });
  }

  #close(state: AnswerState, out: UIMessageChunk[]): void {
    for (const told of this.#told)
      if ((told.kind === "text" || told.kind === "reasoning") && !told.done)
        out.push({ type: `${told.kind}-end`, id: told.id });
    const outcome = state.outcome!;
    if (outcome.type !== "completed") this.#tellMetadata(state, out);
    if (outcome.type === "completed") {
      out.push({ type: "finish-step" });
      out.push({
        type: "finish",
        finishReason: finishReason(outcome.code),
        messageMetadata: metadataOf(state),
      });
    } else if (outcome.type === "cancelled") out.push({ type: "abort", reason: outcome.message });
    else return void this.#end(out, outcome.message || `The request ended as ${outcome.type}.`);
    this.#ended = true;
  }

  #end(out: UIMessageChunk[], errorText: string): UIMessageChunk[] {
    this.#ended = true;
    out.push({ type: "error", errorText });
    return out;
  }
}

/** What every answer's UI message carries as `metadata`; its `id` is the request's id too. */
export interface MessageMetadata {
  readonly requestId: string;
  readonly agent: string;
  readonly attempt: number;
  readonly status: AnswerState["status"];
  readonly usage?: NonNullable<AnswerState["usage"]>;
}

const METADATA = ["agent", "attempt", "status", "usage"] as const;

/** Whether the part only adds to what was told of it. Costs its length only where its pieces are another array. */
function adds(told: Told, part: Part): boolean {
  if (part.kind !== told.kind || nameOf(part) !== told.name) return false;
  if (part.kind === "text" || part.kind === "reasoning") {
    if (part.chunks === told.pieces) return true;
    const text = part.chunks.join("");
    return told.done ? text === told.text && !part.open : text.startsWith(told.text);
  }
  if (part.kind === "tool") {
    if (part.chunks !== told.pieces && !part.chunks.join("").startsWith(told.text)) return false;
    if (told.mark !== "" && (part.state === "input" || part.arguments !== told.text)) return false;
    return !told.done || outputOf(part) === outputOf(told.part as typeof part);
  }
  if (part.kind === "source" || part.kind === "file")
    return JSON.stringify(wholePart(part, told.id)) === told.mark;
  return true;
}

function nameOf(part: Part): string {
  if (part.kind === "tool") return `${part.call_id} ${part.name}`;
  return part.kind === "data" ? part.name : "";
}

/** How a tool part is announced. What the server runs is not for `onToolCall`, nor a reason to send automatically. */
function callOf(part: Extract<Part, { kind: "tool" }>) {
  const { call_id: toolCallId, name: toolName } = part;
  return { toolCallId, toolName, dynamic: true, providerExecuted: part.where === "server" };
}

function outputOf(part: Extract<Part, { kind: "tool" }>): string {
  return `${part.state} ${part.result}`;
}

/** The text beyond what was taken; costs what is new, except when the pieces are another array. */
function news(told: Told, pieces: readonly string[]): string {
  let delta: string;
  if (told.pieces === null || told.pieces === pieces) delta = pieces.slice(told.taken).join("");
  else delta = pieces.join("").slice(told.text.length);
  told.pieces = pieces;
  told.taken = pieces.length;
  told.text += delta;
  return delta;
}

function tellTool(part: Extract<Part, { kind: "tool" }>, told: Told, out: UIMessageChunk[]): void {
  const toolCallId = part.call_id;
  if (part.state !== "input" && told.mark === "") {
    told.mark = "input";
    out.push({ type: "tool-input-available", ...callOf(part), input: parsed(part.arguments || "{}") });
  }
  if (told.done) return;
  if (part.state === "done")
    out.push({ type: "tool-output-available", toolCallId, output: parsed(part.result), dynamic: true });
  else if (part.state === "failed")
    out.push({ type: "tool-output-error", toolCallId, errorText: part.result, dynamic: true });
  else if (part.state === "unknown")
    out.push({
      type: "tool-output-error",
      toolCallId,
      errorText: "It may or may not have run.",
      dynamic: true,
    });
  else return;
  told.done = true;
}

/** The chunk of a part that is told whole, again at each change. */
function wholePart(part: Part, id: string): UIMessageChunk | null {
  switch (part.kind) {
    case "source":
      return {
        type: "source-url",
        sourceId: part.id,
        url: part.url,
        ...(part.title && { title: part.title }),
      };
    case "file":
      return { type: "file", url: part.url, mediaType: part.media_type };
    case "data":
      return { type: `data-${part.name}`, id, data: part.data };
    case "progress":
    case "input":
    case "wait":
      return { type: `data-${part.kind}`, id, data: { ...part } };
    default:
      return null;
  }
}

function metadataOf(state: AnswerState): MessageMetadata {
  const { requestId, agent, usage, attempt, status } = state;
  return { requestId, agent, attempt, status, ...(usage !== null && { usage }) };
}

function finishReason(code: string): FinishReason {
  if (code === "stop" || code === "length") return code;
  if (code === "tool_calls") return "tool-calls";
  if (code === "content_filter") return "content-filter";
  return "other";
}

/** The value of a JSON text; the text itself where it is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
