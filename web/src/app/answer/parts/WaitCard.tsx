/** Something a person is asked before the answer goes on: what, with which arguments, until when, and how it was decided. */
import { announce, Button, formatDuration } from "@app/design/index.ts";
import type { WaitPart } from "@sdk";
import { CircleCheck, CircleX, Clock, Hourglass } from "lucide-react";
import { useEffect, useId, useState } from "react";
import { CodeBlock } from "../code/CodeBlock.tsx";
import styles from "./parts.module.css";
import { pretty } from "./ToolCall.tsx";
import { useNow } from "./ticking.ts";

/** Takes a decision to the server; rejects with an error whose message is for people. */
export type Decide = (waitId: string, digest: string, decision: unknown) => Promise<void>;

/** The longest note that goes with a decision. */
const NOTE_CHARS_MAX = 2_000;

interface Asked {
  /** One sentence: what is asked. */
  readonly question: string;
  /** What it is about, as JSON; "" for nothing more. */
  readonly details: string;
}

/** What a wait's body says to a person. Agents write it as they like; what is not known is shown as it is. */
export function askedIn({ body, wait_kind }: Pick<WaitPart, "body" | "wait_kind">): Asked {
  const fields =
    typeof body === "object" && body !== null && !Array.isArray(body)
      ? (body as Record<string, unknown>)
      : {};
  const text = [fields.question, fields.message, fields.text, fields.title].find(
    (value) => typeof value === "string" && value !== "",
  );
  const tool = [fields.name, fields.tool].find((value) => typeof value === "string" && value !== "");
  const question =
    typeof body === "string"
      ? body
      : typeof text === "string"
        ? text
        : typeof tool === "string"
          ? `May it run ${tool}?`
          : wait_kind === "approval"
            ? "May it go on?"
            : "It needs your decision.";
  const {
    question: _q,
    message: _m,
    text: _t,
    title: _l,
    name: _n,
    tool: _o,
    arguments: given,
    input,
    ...others
  } = fields;
  const rest =
    typeof body === "string"
      ? undefined
      : fields === body
        ? Object.keys(others).length > 0
          ? others
          : undefined
        : body;
  const about = given ?? input ?? rest;
  if (about === undefined || about === null) return { question, details: "" };
  return { question, details: pretty(typeof about === "string" ? about : JSON.stringify(about)).text };
}

export function WaitCard({ part, onDecide }: { part: WaitPart; onDecide: Decide | undefined }) {
  const { question, details } = askedIn(part);
  const title = useId();
  const open = part.state === "open";
  useEffect(() => {
    if (open) announce(`Waiting for you: ${question}`);
  }, [open, question]);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields, and a region would be a landmark for each
    <div className={styles.wait} data-state={part.state} role="group" aria-labelledby={title} tabIndex={-1}>
      <div className={styles.waitHead}>
        {open ? <Hourglass size={18} aria-hidden="true" /> : <Outcome part={part} />}
        <h3 id={title}>{question}</h3>
        {open && part.expires_at != null && <Countdown until={part.expires_at} />}
      </div>
      {details !== "" && <CodeBlock info="json" source={details} />}
      {open ? (
        onDecide ? (
          <Decision part={part} onDecide={onDecide} />
        ) : (
          <p className={styles.quiet}>It waits for a decision.</p>
        )
      ) : (
        <p className={styles.quiet}>{decided(part)}</p>
      )}
    </div>
  );
}

function Decision({ part, onDecide }: { part: WaitPart; onDecide: Decide }) {
  const [note, setNote] = useState("");
  const [sent, setSent] = useState<"approve" | "deny" | null>(null);
  const [error, setError] = useState("");
  const id = useId();
  const decide = (approved: boolean) => {
    setSent(approved ? "approve" : "deny");
    setError("");
    const decision = note.trim() === "" ? approved : { approved, note: note.trim() };
    onDecide(part.wait_id, part.digest, decision).then(
      () => announce(approved ? "Approved" : "Denied"),
      (reason: unknown) => {
        setSent(null);
        setError(
          reason instanceof Error && reason.message ? reason.message : "It could not be sent. Try again.",
        );
      },
    );
  };
  return (
    <form className={styles.decision} onSubmit={(event) => event.preventDefault()}>
      <label className={styles.label} htmlFor={id}>
        Note (optional)
      </label>
      <textarea
        id={id}
        className={styles.noteField}
        rows={1}
        maxLength={NOTE_CHARS_MAX}
        value={note}
        onChange={(event) => setNote(event.target.value)}
      />
      <div className={styles.buttons}>
        <Button
          variant="primary"
          busy={sent === "approve"}
          disabled={sent !== null}
          onClick={() => decide(true)}
        >
          Approve
        </Button>
        <Button
          variant="outline"
          busy={sent === "deny"}
          disabled={sent !== null}
          onClick={() => decide(false)}
        >
          Deny
        </Button>
      </div>
      {error !== "" && (
        <p role="alert" className={styles.bad}>
          {error}
        </p>
      )}
    </form>
  );
}

function Countdown({ until }: { until: number }) {
  const left = until - useNow(true);
  return (
    <span className={styles.countdown}>
      <Clock size={14} aria-hidden="true" />{" "}
      {left > 0 ? `${formatDuration(Math.ceil(left / 1_000) * 1_000)} left` : "expiring…"}
    </span>
  );
}

function isApproved({ decision }: Pick<WaitPart, "decision">): boolean | null {
  if (typeof decision === "boolean") return decision;
  const approved = (decision as Record<string, unknown> | null)?.approved;
  return typeof approved === "boolean" ? approved : null;
}

function Outcome({ part }: { part: WaitPart }) {
  if (part.state === "decided" && isApproved(part) !== false)
    return <CircleCheck size={18} className={styles.good} aria-hidden="true" />;
  if (part.state === "decided") return <CircleX size={18} className={styles.bad} aria-hidden="true" />;
  return <Clock size={18} className={styles.faint} aria-hidden="true" />;
}

function decided(part: WaitPart): string {
  if (part.state === "expired") return "Nobody decided in time.";
  if (part.state === "closed") return "The answer ended before anybody decided.";
  const note = (part.decision as Record<string, unknown> | null)?.note;
  const words = isApproved(part) === true ? "Approved" : isApproved(part) === false ? "Denied" : "Decided";
  return typeof note === "string" && note !== "" ? `${words}: ${note}` : `${words}.`;
}
