// @vitest-environment jsdom
/** A diagram's frame can reach nothing, is believed only as itself, and its source is there whatever happens. */
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { DIAGRAM_CHARS_MAX, DIAGRAM_HEIGHT_MAX, readDrawMessage } from "../../../diagram/messages.ts";
import { Markdown } from "../markdown/Markdown.tsx";

afterEach(cleanup);

const SOURCE = "graph TD; A-->B";
const show = (text: string, done = true) => render(<Markdown source={{ chunks: [text], done }} />).container;
const frameIn = (container: Element) => container.querySelector("iframe");

function say(data: unknown, source: MessageEventSource | null) {
  act(() => void window.dispatchEvent(new MessageEvent("message", { data, source })));
}

it("shows the source until the fence is closed", () => {
  expect(frameIn(show(`\`\`\`mermaid\n${SOURCE}\n`, false))).toBeNull();
});

it("draws in a frame without an origin, as high as the frame says, up to a bound", () => {
  const frame = frameIn(show(`\`\`\`mermaid\n${SOURCE}\n\`\`\``))!;
  expect(frame.getAttribute("sandbox")).toBe("allow-scripts");
  say({ holdfast: "diagram-drawn", width: 10, height: 9e9 }, frame.contentWindow);
  expect(frame.getAttribute("height")).toBe(String(DIAGRAM_HEIGHT_MAX));
});

it("does not believe another window", () => {
  const container = show(`\`\`\`mermaid\n${SOURCE}\n\`\`\``);
  say({ holdfast: "diagram-failed", reason: "x" }, window);
  expect(frameIn(container)).not.toBeNull();
});

it("shows the source where it cannot be drawn, and says why", () => {
  const container = show(`\`\`\`mermaid\n${SOURCE}\n\`\`\``);
  say({ holdfast: "diagram-failed", reason: "no such arrow" }, frameIn(container)!.contentWindow);
  expect(frameIn(container)).toBeNull();
  expect(container.textContent).toContain(SOURCE);
  expect(screen.getByText(/no such arrow/)).toBeTruthy();
});

it("shows the source on demand", () => {
  const container = show(`\`\`\`mermaid\n${SOURCE}\n\`\`\``);
  fireEvent.click(screen.getByRole("button", { name: "Show the source" }));
  expect(container.textContent).toContain(SOURCE);
});

it("draws nothing that is too long", () => {
  const container = show(`\`\`\`mermaid\n${"A-->B;\n".repeat(DIAGRAM_CHARS_MAX / 4)}\`\`\``);
  expect(frameIn(container)).toBeNull();
  expect(readDrawMessage({ holdfast: "diagram-draw", source: "x".repeat(DIAGRAM_CHARS_MAX + 1) })).toBeNull();
});
