/** What says how things stand: badges, dots, progress, spinners, empty places. */
import type { ReactNode } from "react";
import { classes } from "./classes.ts";
import styles from "./status.module.css";

/** The colour of a badge, by meaning. */
export type Tone = "run" | "wait" | "fail" | "unread" | "neutral" | "ok";

/** A short word in a pill. */
export function Badge({ tone = "neutral", children }: { tone?: Tone | undefined; children: ReactNode }) {
  return <span className={classes(styles.badge, styles[tone])}>{children}</span>;
}

/** Which look a status word has; words the page does not know look neutral. */
const DOTS: Record<string, string | undefined> = {
  running: styles.dotRun,
  streaming: styles.dotRun,
  queued: styles.dotQueue,
  accepted: styles.dotQueue,
  waiting: styles.dotWait,
  failed: styles.dotFail,
  timed_out: styles.dotFail,
  interrupted: styles.dotFail,
  completed: styles.dotOk,
  unsent: styles.dotUnsent,
  unread: styles.dotUnread,
};

/** A dot for a status word of the wire, or `unread`, `unsent`; it has no words, say the status beside it. */
export function StatusDot({ status }: { status: string }) {
  return <span className={classes(styles.dot, DOTS[status])} data-status={status} aria-hidden="true" />;
}

/** A bar from 0 to 100 percent; `null` shows that it moves without saying how far. */
export function ProgressBar({ percent, label }: { percent: number | null; label: string }) {
  const value = percent === null ? null : Math.min(100, Math.max(0, percent));
  return (
    <span
      className={styles.progress}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value === null ? undefined : Math.round(value)}
    >
      {value === null ? (
        <span className={classes(styles.bar, styles.unknown)} />
      ) : (
        <span className={styles.bar} style={{ width: `${value}%` }} />
      )}
    </span>
  );
}

/** A turning ring of the text's size; with `label` it says so to screen readers. */
export function Spinner({ label }: { label?: string | undefined }) {
  if (label) return <span className={styles.spinner} role="img" aria-label={label} />;
  return <span className={styles.spinner} aria-hidden="true" />;
}

/** What `EmptyState` takes. */
export interface EmptyStateProps {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  /** 1 where it is the whole screen, so that the screen has a first heading. Default 2. */
  level?: 1 | 2 | undefined;
}

/** What an empty place says: an icon, a title, a sentence or two, and perhaps what to do. */
export function EmptyState({ icon, title, children, action, level = 2 }: EmptyStateProps) {
  const Heading = level === 1 ? "h1" : "h2";
  return (
    <div className={styles.empty}>
      {icon && (
        <div className={styles.emptyIcon} aria-hidden="true">
          {icon}
        </div>
      )}
      <Heading className={styles.emptyTitle}>{title}</Heading>
      {children && <div className={styles.emptyBody}>{children}</div>}
      {action && <div className={styles.emptyAction}>{action}</div>}
    </div>
  );
}
