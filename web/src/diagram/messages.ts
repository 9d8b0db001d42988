/** What the page and the sandboxed diagram page say to each other. Each side checks who speaks by the window it speaks from. */

/** A longer diagram is shown as its source: drawing takes time that grows faster than the text. */
export const DIAGRAM_CHARS_MAX = 20_000;
/** No diagram is given more height than this, in CSS pixels. */
export const DIAGRAM_HEIGHT_MAX = 2_000;

/** From the frame, once, when it can draw. */
export interface ReadyMessage {
  readonly holdfast: "diagram-ready";
}

/** To the frame: draw this. */
export interface DrawMessage {
  readonly holdfast: "diagram-draw";
  readonly source: string;
  readonly dark: boolean;
}

/** From the frame: it is drawn, and this high and wide. */
export interface DrawnMessage {
  readonly holdfast: "diagram-drawn";
  readonly width: number;
  readonly height: number;
}

/** From the frame: it is no diagram; why, for people. */
export interface FailedMessage {
  readonly holdfast: "diagram-failed";
  readonly reason: string;
}

export type FrameMessage = ReadyMessage | DrawnMessage | FailedMessage;

/** Read what a frame said; null for anything else. */
export function readFrameMessage(data: unknown): FrameMessage | null {
  if (typeof data !== "object" || data === null) return null;
  const { holdfast, width, height, reason } = data as Record<string, unknown>;
  if (holdfast === "diagram-ready") return { holdfast };
  if (holdfast === "diagram-failed") return { holdfast, reason: String(reason).slice(0, 300) };
  if (holdfast !== "diagram-drawn" || !isSize(width) || !isSize(height)) return null;
  return { holdfast, width, height: Math.min(height, DIAGRAM_HEIGHT_MAX) };
}

/** Read what the page said; null for anything else. */
export function readDrawMessage(data: unknown): DrawMessage | null {
  if (typeof data !== "object" || data === null) return null;
  const { holdfast, source, dark } = data as Record<string, unknown>;
  if (holdfast !== "diagram-draw" || typeof source !== "string" || source.length > DIAGRAM_CHARS_MAX)
    return null;
  return { holdfast, source, dark: dark === true };
}

function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
