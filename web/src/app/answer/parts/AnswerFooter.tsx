/** How an answer went: why it ended, how long it took, what it used, and what earlier attempts showed. */
import { Button, formatCount, formatDuration } from "@app/design/index.ts";
import type { AnswerState, Transcript, UsageEvent } from "@sdk";
import { CircleStop, History, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { AnswerParts } from "./AnswerParts.tsx";
import { outcomeWords } from "./outcome.ts";
import styles from "./parts.module.css";
import { useNow } from "./ticking.ts";

/** What the footer reads of an answer. */
export type AnswerFacts = Pick<
  AnswerState,
  "status" | "outcome" | "usage" | "attempt" | "superseded" | "acceptedAt" | "firstOutputAt" | "endedAt"
>;

/** What an answer of the history says of how it went; its earlier attempts are only in its story. */
export function factsOf(transcript: Transcript): AnswerFacts {
  const { status, outcome, usage, attempt, accepted_at, parts } = transcript;
  return {
    status,
    outcome,
    usage,
    attempt,
    superseded: [],
    acceptedAt: accepted_at,
    firstOutputAt: parts.find((part) => OUTPUT.has(part.kind))?.at ?? null,
    endedAt: outcome?.at ?? null,
  };
}

const OUTPUT: ReadonlySet<string> = new Set(["text", "reasoning", "tool"]);

export interface AnswerFooterProps {
  readonly state: AnswerFacts;
  /** Leave out why it ended, where the caller says so itself. */
  readonly quiet?: boolean | undefined;
  /** Where its story is told: there earlier attempts can be seen that are not at hand. */
  readonly story?: string | undefined;
}

const LIVE: ReadonlySet<AnswerState["status"]> = new Set(["queued", "running", "waiting"]);

export function AnswerFooter({ state, quiet = false, story }: AnswerFooterProps) {
  const [earlier, setEarlier] = useState(false);
  const why = quiet ? "" : outcomeWords(state.outcome);
  const linked = state.attempt > 1 && state.superseded.length === 0 && story !== undefined;
  const facts = [
    usageWords(state.usage),
    firstWords(state),
    state.attempt > 1 && !linked ? `attempt ${state.attempt}` : "",
  ].filter((fact) => fact !== "");
  return (
    <footer className={styles.footer}>
      {why !== "" && (
        <p className={styles.why} data-status={state.status}>
          {state.status === "cancelled" ? (
            <CircleStop size={14} aria-hidden="true" />
          ) : (
            <TriangleAlert size={14} aria-hidden="true" />
          )}{" "}
          {why}
        </p>
      )}
      <p className={styles.facts}>
        <Elapsed state={state} />
        {facts.map((fact) => (
          <span key={fact}>{fact}</span>
        ))}
        {linked && (
          <Link href={story} data-tip="What the earlier attempts showed">
            attempt {state.attempt}
          </Link>
        )}
        {state.superseded.length > 0 && (
          <Button
            variant="quiet"
            size="s"
            icon={<History size={14} aria-hidden="true" />}
            aria-expanded={earlier}
            onClick={() => setEarlier(!earlier)}
          >
            {state.superseded.length === 1
              ? "Earlier attempt"
              : `${state.superseded.length} earlier attempts`}
          </Button>
        )}
      </p>
      {earlier &&
        state.superseded.map((attempt) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields, and a region would be a landmark for each
          <div
            key={attempt.attempt}
            className={styles.superseded}
            role="group"
            aria-label={`Attempt ${attempt.attempt}, superseded`}
          >
            <p className={styles.label}>
              Attempt {attempt.attempt}, superseded{REASONS[attempt.reason] ?? ""}
            </p>
            {attempt.parts.length === 0 ? (
              <p className={styles.quiet}>It had shown nothing.</p>
            ) : (
              <AnswerParts parts={attempt.parts} status="interrupted" />
            )}
          </div>
        ))}
    </footer>
  );
}

const REASONS: Readonly<Record<string, string>> = {
  retry: ": it was tried again",
  recovered: ": the server had to begin again",
  handed_over: ": another server took over",
};

function Elapsed({ state }: { state: AnswerFacts }) {
  const live = LIVE.has(state.status) && state.endedAt === null;
  const now = useNow(live);
  if (state.acceptedAt === null) return null;
  const ms = Math.max(0, (state.endedAt ?? now) - state.acceptedAt);
  if (live && ms < 1_000) return null;
  return <span>{formatDuration(live ? Math.floor(ms / 1_000) * 1_000 : ms)}</span>;
}

function firstWords({ acceptedAt, firstOutputAt }: AnswerFacts): string {
  if (acceptedAt === null || firstOutputAt === null || firstOutputAt < acceptedAt) return "";
  return `first output after ${formatDuration(firstOutputAt - acceptedAt)}`;
}

/** Tokens in and out, and the cost where it is told, in one phrase. */
function usageWords(usage: UsageEvent | null): string {
  if (!usage) return "";
  const { input_tokens: into = 0, output_tokens: out = 0, estimated } = usage;
  const cost = (usage as { cost_usd?: unknown }).cost_usd;
  const price =
    typeof cost === "number" && Number.isFinite(cost) ? `, $${cost.toFixed(cost < 0.01 ? 4 : 2)}` : "";
  return `${estimated ? "about " : ""}${formatCount(into)} tokens in, ${formatCount(out)} out${price}`;
}
