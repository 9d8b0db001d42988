/** Steps of the work, together: each with how it stands, one that is counted with a bar. */
import { ProgressBar, Spinner } from "@app/design/index.ts";
import type { Answer, Part, ProgressPart } from "@sdk";
import { Ban, Check, X } from "lucide-react";
import { memo } from "react";
import styles from "./parts.module.css";
import { useLivePart } from "./useLivePart.ts";

interface GroupProps {
  readonly first: number;
  readonly parts: readonly Part[];
  readonly live: Answer | undefined;
}

export function ProgressGroup({ first, parts, live }: GroupProps) {
  return (
    <ul className={styles.steps} aria-label="Steps">
      {parts.map((part, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a part's number is its name
        <Step key={at} index={first + at} part={part} live={live} />
      ))}
    </ul>
  );
}

const WORDS = { running: "running", done: "done", failed: "failed", stopped: "stopped" } as const;

const Step = memo(function Step({
  index,
  part: given,
  live,
}: {
  index: number;
  part: Part;
  live: Answer | undefined;
}) {
  const part = useLivePart(live, index, given);
  if (part.kind !== "progress") return null;
  const percent = percentOf(part);
  return (
    <li className={styles.step} data-state={part.state}>
      <StepIcon state={part.state} />
      <span className={styles.stepLabel}>{part.label}</span>
      <span className={styles.numbers}>{countOf(part)}</span>
      <span className="visually-hidden">{WORDS[part.state]}</span>
      {percent !== null && part.state === "running" && (
        <span className={styles.stepBar}>
          <ProgressBar percent={percent} label={part.label} />
        </span>
      )}
    </li>
  );
});

function StepIcon({ state }: { state: ProgressPart["state"] }) {
  if (state === "running") return <Spinner />;
  if (state === "failed") return <X size={16} className={styles.bad} aria-hidden="true" />;
  if (state === "stopped") return <Ban size={16} className={styles.faint} aria-hidden="true" />;
  return <Check size={16} className={styles.good} aria-hidden="true" />;
}

/** How far a running step is, from 0 to 100; null where it does not say. Step 2 of 4 is being taken: one of four is done. */
export function percentOf({
  percent,
  step,
  total,
}: Pick<ProgressPart, "percent" | "step" | "total">): number | null {
  const value = percent ?? (step != null && total != null && total > 0 ? ((step - 1) / total) * 100 : null);
  return value === null || !Number.isFinite(value) ? null : Math.min(100, Math.max(0, value));
}

function countOf({ percent, step, total, state }: ProgressPart): string {
  const bare = state === "stopped" ? "stopped" : state === "failed" ? "failed" : "";
  if (step != null && total != null) return bare ? `${bare} at ${step} of ${total}` : `${step} of ${total}`;
  if (percent != null && Number.isFinite(percent) && state !== "done")
    return bare ? `${bare} at ${Math.round(percent)} %` : `${Math.round(percent)} %`;
  return bare;
}
