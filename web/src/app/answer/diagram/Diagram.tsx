/** A diagram, drawn in a frame that can reach nothing; its source is there until it is drawn, if it cannot be, and on demand. */

import { IconButton } from "@app/design/index.ts";
import { Code, Workflow } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { DIAGRAM_CHARS_MAX, type DrawMessage, readFrameMessage } from "../../../diagram/messages.ts";
import { CodeBlock } from "../code/CodeBlock.tsx";
import styles from "../code/code.module.css";

/** How long the frame may take: beyond that the source is shown. */
const DRAW_MS_MAX = 15_000;
/** The height it has until the frame says its own. */
const HEIGHT_FIRST = 160;

/** Whether a fence's info string says that it holds a diagram. */
export function isDiagram(info: string): boolean {
  return /^mermaid\b/i.test(info);
}

type State =
  | { readonly is: "drawing" }
  | { readonly is: "drawn"; readonly height: number }
  | { readonly is: "failed"; readonly reason: string };

/** `source` is the fence's content; while it is `open` it is shown as code. */
export function Diagram({ source, open }: { source: string; open: boolean }) {
  const [asSource, setAsSource] = useState(false);
  const [state, setState] = useState<State>({ is: "drawing" });
  const tooLong = source.length > DIAGRAM_CHARS_MAX;
  const draws = !open && !tooLong && state.is !== "failed" && source.trim() !== "";
  const note = tooLong
    ? "This diagram is too long to be drawn."
    : state.is === "failed"
      ? `It could not be drawn: ${state.reason}`
      : "";
  if (!draws)
    return (
      <>
        <CodeBlock info="mermaid" source={source.replace(/\n$/, "")} />
        {!open && note !== "" && <p className={styles.note}>{note}</p>}
      </>
    );
  return (
    <figure className={styles.figure} aria-label="Diagram">
      <div className={styles.bar}>
        <span className={styles.language}>diagram</span>
        <IconButton
          label={asSource ? "Show the drawing" : "Show the source"}
          pressed={asSource}
          onClick={() => setAsSource(!asSource)}
          icon={asSource ? <Workflow size={16} aria-hidden="true" /> : <Code size={16} aria-hidden="true" />}
        />
      </div>
      {asSource ? (
        <CodeBlock info="mermaid" source={source.replace(/\n$/, "")} />
      ) : (
        <Frame source={source} state={state} onState={setState} />
      )}
    </figure>
  );
}

function Frame({
  source,
  state,
  onState,
}: {
  source: string;
  state: State;
  onState: (state: State) => void;
}) {
  const frame = useRef<HTMLIFrameElement>(null);
  const dark = useDark();
  const sent = useRef(onState);
  sent.current = onState;
  useEffect(() => {
    const draw = () => {
      const message: DrawMessage = { holdfast: "diagram-draw", source, dark };
      // Its origin is opaque, so no other target can be named; the source is no secret to this server's own page.
      frame.current?.contentWindow?.postMessage(message, "*");
    };
    const timer = setTimeout(() => sent.current({ is: "failed", reason: "it took too long." }), DRAW_MS_MAX);
    const listen = (event: MessageEvent) => {
      if (event.source === null || event.source !== frame.current?.contentWindow) return;
      const message = readFrameMessage(event.data);
      if (message?.holdfast === "diagram-ready") draw();
      if (message?.holdfast === "diagram-drawn" || message?.holdfast === "diagram-failed")
        clearTimeout(timer);
      if (message?.holdfast === "diagram-drawn") sent.current({ is: "drawn", height: message.height });
      if (message?.holdfast === "diagram-failed") sent.current({ is: "failed", reason: message.reason });
    };
    window.addEventListener("message", listen);
    draw(); // it may be ready already: then it does not say so again
    return () => {
      clearTimeout(timer);
      window.removeEventListener("message", listen);
    };
  }, [source, dark]);
  return (
    <iframe
      ref={frame}
      className={styles.frame}
      src="/diagram.html"
      sandbox="allow-scripts"
      title="Diagram"
      loading="lazy"
      height={state.is === "drawn" ? state.height : HEIGHT_FIRST}
    />
  );
}

/** Whether the page is dark now, by the system or by choice. */
function useDark(): boolean {
  const [dark, setDark] = useState(isDark);
  useEffect(() => {
    const look = () => setDark(isDark());
    const system = window.matchMedia?.("(prefers-color-scheme: dark)");
    const observer = new MutationObserver(look);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    system?.addEventListener("change", look);
    return () => {
      observer.disconnect();
      system?.removeEventListener("change", look);
    };
  }, []);
  return dark;
}

function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "dark" || chosen === "light") return chosen === "dark";
  return window.matchMedia?.("(prefers-color-scheme: dark)").matches ?? false;
}
