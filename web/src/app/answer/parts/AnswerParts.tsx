/** The parts of one answer, in order; steps and sources that follow each other stand together. */
import type { Answer, AnswerState, Part } from "@sdk";
import { memo } from "react";
import { Markdown } from "../markdown/lazy.tsx";
import { FileView, InputView, SourceList, ValueView } from "./Attachments.tsx";
import { ProgressGroup } from "./Progress.tsx";
import styles from "./parts.module.css";
import { Reasoning } from "./Reasoning.tsx";
import { ToolCall } from "./ToolCall.tsx";
import { useLivePart } from "./useLivePart.ts";
import { type Decide, WaitCard } from "./WaitCard.tsx";

export interface AnswerPartsProps {
  readonly parts: readonly Part[];
  /** The answer that is being followed: then each part listens for itself, and a delta renders one block of one part. */
  readonly live?: Answer | undefined;
  readonly status: AnswerState["status"];
  /** Takes a decision to the server; rejects with an error for people. Without it waits are shown, not decided. */
  readonly onDecide?: Decide | undefined;
  /** Quote a selection of the answer. */
  readonly onQuote?: ((text: string) => void) | undefined;
}

/** A run of parts that are shown together: the number of the first, and the parts. */
interface Run {
  readonly first: number;
  readonly parts: readonly Part[];
}

const GROUPED: ReadonlySet<Part["kind"]> = new Set(["progress", "source"]);

function runsOf(parts: readonly Part[]): Run[] {
  const runs: { first: number; parts: Part[] }[] = [];
  parts.forEach((part, at) => {
    const last = runs.at(-1);
    if (last && GROUPED.has(part.kind) && last.parts[0]?.kind === part.kind) last.parts.push(part);
    else runs.push({ first: at, parts: [part] });
  });
  return runs;
}

/** All parts. An unknown one shows nothing. */
export function AnswerParts({ parts, live, status, onDecide }: AnswerPartsProps) {
  if (parts.length === 0) return null;
  const running = status === "running" || status === "waiting" || status === "queued";
  return (
    <div className={styles.parts}>
      {runsOf(parts).map(({ first, parts: run }) => {
        const part = run[0]!;
        const key = `${first} ${part.kind}`;
        if (part.kind === "progress")
          return <ProgressGroup key={key} first={first} parts={run} live={live} />;
        if (part.kind === "source") return <SourceList key={key} parts={run} />;
        return (
          <PartView key={key} index={first} part={part} live={live} running={running} onDecide={onDecide} />
        );
      })}
    </div>
  );
}

interface PartProps {
  readonly index: number;
  readonly part: Part;
  readonly live: Answer | undefined;
  readonly running: boolean;
  readonly onDecide: Decide | undefined;
}

const PartView = memo(function PartView({ index, part: given, live, running, onDecide }: PartProps) {
  const part = useLivePart(live, index, given);
  switch (part.kind) {
    case "text":
      return <Markdown source={{ chunks: part.chunks, done: !(part.open && running) }} />;
    case "reasoning":
      return <Reasoning part={part} running={running} />;
    case "tool":
      return <ToolCall part={part} running={running} />;
    case "data":
      return <ValueView part={part} />;
    case "file":
      return <FileView part={part} />;
    case "input":
      return <InputView part={part} />;
    case "wait":
      return <WaitCard part={part} onDecide={onDecide} />;
    default:
      return null;
  }
});
