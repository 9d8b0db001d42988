/** A tool call: its name and how it stands on one line; what it was given and gave back on demand. */
import { Badge, Spinner } from "@app/design/index.ts";
import type { ToolPart } from "@sdk";
import { CircleHelp, TriangleAlert, Wrench } from "lucide-react";
import { withBidiShown } from "../address.ts";
import { CodeBlock } from "../code/CodeBlock.tsx";
import { Fold } from "./Fold.tsx";
import styles from "./parts.module.css";
import { Since } from "./Reasoning.tsx";

/** Longer values are shown as they came: reading them to indent them is not worth the wait. */
const PRETTY_CHARS_MAX = 200_000;
/** Of a longer value so much is shown; copying the answer's story has the rest. */
const SHOWN_CHARS_MAX = 100_000;

/** JSON, indented; other text as it is. */
export function pretty(text: string): { text: string; isJson: boolean } {
  const shown =
    text.length > SHOWN_CHARS_MAX
      ? `${text.slice(0, SHOWN_CHARS_MAX)}\n… (${text.length - SHOWN_CHARS_MAX} more characters)`
      : text;
  if (text.length > PRETTY_CHARS_MAX || !/^\s*[[{]/.test(text)) return { text: shown, isJson: false };
  try {
    const indented = JSON.stringify(JSON.parse(text), null, 2);
    return indented.length > SHOWN_CHARS_MAX
      ? { text: shown, isJson: false }
      : { text: indented, isJson: true };
  } catch {
    return { text: shown, isJson: false };
  }
}

const STATES = {
  input: "preparing",
  called: "running",
  done: "done",
  failed: "failed",
  unknown: "unknown",
} as const;

export function ToolCall({ part, running }: { part: ToolPart; running: boolean }) {
  const elsewhere = part.where === "client" && part.state === "called";
  const busy = running && (part.state === "input" || (part.state === "called" && !elsewhere));
  return (
    <Fold
      icon={<Icon part={part} busy={busy} />}
      summary={<code className={styles.tool}>{withBidiShown(part.name)}</code>}
      aside={
        <>
          {busy && <Since at={part.at} />}
          <Badge tone={part.state === "failed" ? "fail" : busy ? "run" : "neutral"}>
            {elsewhere ? "not run here" : STATES[part.state]}
          </Badge>
        </>
      }
    >
      {() => <ToolBody part={part} />}
    </Fold>
  );
}

function Icon({ part, busy }: { part: ToolPart; busy: boolean }) {
  if (busy) return <Spinner />;
  if (part.state === "failed") return <TriangleAlert size={16} className={styles.bad} aria-hidden="true" />;
  if (part.state === "unknown") return <CircleHelp size={16} aria-hidden="true" />;
  return <Wrench size={16} aria-hidden="true" />;
}

function ToolBody({ part }: { part: ToolPart }) {
  const given = part.chunks.join("");
  const open = part.state === "input";
  const call = open ? { text: given, isJson: true } : pretty(given);
  const result = pretty(part.result);
  return (
    <div className={styles.stack}>
      <h3 className={styles.label}>Arguments</h3>
      {given === "" ? (
        <p className={styles.quiet}>None{open ? " yet" : ""}.</p>
      ) : (
        <CodeBlock info={call.isJson ? "json" : ""} source={call.text} />
      )}
      {(part.state === "done" || part.state === "failed") && (
        <>
          <h3 className={styles.label}>{part.state === "failed" ? "Error" : "Result"}</h3>
          {part.result === "" ? (
            <p className={styles.quiet}>Empty.</p>
          ) : (
            <CodeBlock info={result.isJson ? "json" : ""} source={result.text} />
          )}
        </>
      )}
      {part.state === "unknown" && (
        <p className={styles.quiet}>The answer ended before the result came. It may or may not have run.</p>
      )}
    </div>
  );
}
