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

/** The page's colours (design/tokens.css): this page has no origin and cannot ask for them. */
const LIGHT = {
  darkMode: false,
  background: "#f4f2ed",
  primaryColor: "#ffffff",
  primaryTextColor: "#1e1c19",
  primaryBorderColor: "#8f897c",
  secondaryColor: "#dcebea",
  tertiaryColor: "#edeae3",
  lineColor: "#67625a",
  textColor: "#1e1c19",
  edgeLabelBackground: "#f4f2ed",
  noteBkgColor: "#f8ebcf",
  noteTextColor: "#1e1c19",
  noteBorderColor: "#c8c2b5",
};
const DARK = {
  darkMode: true,
  background: "#131211",
  primaryColor: "#2a2825",
  primaryTextColor: "#ece9e2",
  primaryBorderColor: "#7d786d",
  secondaryColor: "#1a3839",
  tertiaryColor: "#22211e",
  lineColor: "#a09a8f",
  textColor: "#ece9e2",
  edgeLabelBackground: "#131211",
  noteBkgColor: "#392c12",
  noteTextColor: "#ece9e2",
  noteBorderColor: "#4d4a43",
};

async function draw(source: string, dark: boolean): Promise<void> {
  const drawing = ++drawings;
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    theme: "base",
    look: "classic",
    themeVariables: dark ? DARK : LIGHT,
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
