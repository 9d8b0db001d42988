/** The sandboxed page that draws diagrams: it has no origin, no network and no storage; it draws what its parent sends. */
import mermaid from "mermaid";
import "./diagram.css";
import { DIAGRAM_CHARS_MAX, type FrameMessage, readDrawMessage } from "./messages.ts";

const place = document.getElementById("diagram");
let drawings = 0;

function say(message: FrameMessage): void {
  // This page's origin is opaque and it does not know its parent's; nothing it says is secret.
  window.parent.postMessage(message, "*");
}

async function draw(source: string, dark: boolean): Promise<void> {
  const drawing = ++drawings;
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    theme: dark ? "dark" : "neutral",
    maxTextSize: DIAGRAM_CHARS_MAX,
    fontFamily: "system-ui, sans-serif",
    suppressErrorRendering: true,
    // What the text itself may not set.
    secure: [
      "secure",
      "securityLevel",
      "startOnLoad",
      "maxTextSize",
      "suppressErrorRendering",
      "theme",
      "themeCSS",
      "fontFamily",
    ],
  });
  try {
    const { svg } = await mermaid.render(`drawing-${drawing}`, source);
    if (drawing !== drawings || place === null) return;
    const parsed = new DOMParser().parseFromString(svg, "text/html").body;
    place.replaceChildren(...parsed.childNodes);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const box = place.getBoundingClientRect();
    say({ holdfast: "diagram-drawn", width: Math.ceil(box.width), height: Math.ceil(box.height) });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (drawing === drawings) say({ holdfast: "diagram-failed", reason });
  }
}

window.addEventListener("message", (event) => {
  if (event.source !== window.parent) return;
  const message = readDrawMessage(event.data);
  if (message) void draw(message.source, message.dark);
});
say({ holdfast: "diagram-ready" });
