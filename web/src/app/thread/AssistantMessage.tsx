/** An answer in a thread: its parts, how it went, what can be done with it. */
import { AnswerFooter, AnswerParts, factsOf } from "@app/answer/index.ts";
import { Button } from "@app/design/index.ts";
import { useConnection, useReadable } from "@app/model/index.ts";
import { MessagePrimitive } from "@assistant-ui/react";
import { type Answer, type AnswerState, type Part, type Queued, type Readable, waitingSentence } from "@sdk";
import { RotateCw, TriangleAlert } from "lucide-react";
import { useEffect } from "react";
import { AnswerActions } from "./AnswerActions.tsx";
import styles from "./message.module.css";
import { useRow } from "./row.ts";
import { useThreadScreen } from "./screen.ts";
import { isLive, SENT_SOON_MS, whyItEnded } from "./statusWords.ts";
import { useDelayed } from "./useDelayed.ts";
import { useThreadExtras } from "./useThreadRuntime.ts";

const NOTHING: Readable<AnswerState | null> = { get: () => null, subscribe: () => () => {} };
const NO_PARTS: readonly Part[] = [];

/** The structure of an answer that is followed, or null; following lasts as long as the component is mounted. */
function useShape(answer: Answer | null): AnswerState | null {
  useEffect(() => answer?.hold(), [answer]);
  return useReadable<AnswerState | null>(answer ? answer.shape : NOTHING);
}

/** One answer, live or from the history. */
export function AssistantMessage() {
  const { message, isLast } = useRow();
  const { actions, showStory } = useThreadScreen();
  const shape = useShape(message.answer);
  const status = shape?.status ?? message.status ?? "completed";
  const parts = shape?.parts ?? message.parts ?? NO_PARTS;
  // What cannot be followed any more and has no end: it says why, and stands as far as it came.
  const lost = shape?.sync === "lost" && isLive(status) ? shape.lostReason : "";
  const live = isLive(status) && lost === "";
  const agent = shape?.agent ?? message.told?.agent ?? "";
  const facts = shape ?? (message.told && factsOf(message.told));
  const failure =
    message.refusal || shape?.refusal?.message || lost || whyItEnded(status, facts?.outcome ?? null);
  const failed = failure !== "";
  return (
    <MessagePrimitive.Root
      className={styles.answer}
      role="article"
      aria-label={agent ? `Answer of ${agent}` : "Answer"}
      aria-busy={live || undefined}
      tabIndex={-1}
      data-status={status}
    >
      <h2 className={styles.hidden}>Answer</h2>
      {message.damaged && (
        <p className={styles.damaged} role="note">
          <TriangleAlert size={16} aria-hidden="true" />
          This answer was damaged where it is kept. What is left of it is shown; press “Answer again” for a
          whole one.
        </p>
      )}
      {live && parts.length === 0 && !failed && <Pending status={status} queued={shape?.queued ?? null} />}
      <AnswerParts
        parts={parts}
        {...(message.answer ? { live: message.answer } : {})}
        status={status}
        onDecide={(waitId, digest, decision) => actions.decide(message.id, waitId, digest, decision)}
        onQuote={(text) => actions.quote(text)}
      />
      {failed && (
        <div className={styles.failure}>
          <TriangleAlert size={16} aria-hidden="true" />
          <p>{failure}</p>
          <Button size="s" icon={<RotateCw size={14} />} onClick={() => actions.retry(message.id)}>
            Try again
          </Button>
        </div>
      )}
      {facts && (parts.length > 0 || !live) && (
        <AnswerFooter state={facts} quiet={failed} story={`/activity/${message.id}`} />
      )}
      <AnswerActions live={live} parts={parts} isLast={isLast} onStory={() => showStory(message.id)} />
    </MessagePrimitive.Root>
  );
}

/** What is shown before the first part: that it is on its way, and why it has not begun. */
function Pending({ status, queued }: { status: string; queued: Queued | null }) {
  const { phase } = useConnection();
  const { message } = useRow();
  const slow = useDelayed(status === "unsent", SENT_SOON_MS);
  // Drawn again with each change of the thread, so also when the one above ends.
  const follows = useFollowsLive(message.id);
  // The message above says that it is not sent, and what to do.
  if (slow) return null;
  return (
    <p className={styles.pending}>
      <span className={styles.pulse} aria-hidden="true" />
      {pendingWords(status, queued, phase === "online", follows)}
    </p>
  );
}

/** Whether the answer before it on screen has not ended: no answer begins before the one that it follows. */
function useFollowsLive(messageId: string): boolean {
  const { messages } = useThreadExtras();
  const at = messages.findIndex((one) => one.id === messageId);
  const before = messages[at - 2];
  return before?.role === "assistant" && isLive(before.status);
}

/** That it is queued is known before where it stands. */
const NOWHERE: Queued = { place: null, reason: null, estimateMs: null };

function pendingWords(status: string, queued: Queued | null, soon: boolean, follows: boolean): string {
  if (status === "unsent") return soon ? "Sending" : "Not sent yet";
  if (status === "queued" || status === "new") {
    if (follows) return "Begins when the answer above has ended";
    return waitingSentence(queued ?? NOWHERE);
  }
  return "Thinking";
}
