/** What stands where an answer will be, before its first token. */
import type { AnswerState } from "@sdk";
import styles from "./parts.module.css";
import { Since } from "./Reasoning.tsx";

/** What an answer that shows nothing yet is waiting for, in words. */
export function pendingWords(status: AnswerState["status"], place: number | null): string {
  if (status === "unsent") return "Not sent yet";
  if (status === "queued" && place !== null && place > 0)
    return place === 1 ? "In the queue, one before it" : `In the queue, ${place} before it`;
  if (status === "queued" || status === "new") return "In the queue";
  return "Working on it";
}

/** Three quiet lines and what it waits for; `since` (ms since 1970) adds how long. */
export function AnswerPending({
  status,
  place = null,
  since = null,
}: {
  status: AnswerState["status"];
  place?: number | null;
  since?: number | null;
}) {
  return (
    <div className={styles.pending}>
      <p className={styles.quiet}>
        {pendingWords(status, place)} {since !== null && <Since at={since} />}
      </p>
      <div className={styles.skeleton} aria-hidden="true">
        <span />
        <span />
        <span />
      </div>
    </div>
  );
}
