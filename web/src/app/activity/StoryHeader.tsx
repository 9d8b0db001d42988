/** The head of a story: what was asked, how it stands or ended, and its figures. */
import { Badge, Button, formatDuration } from "@app/design/index.ts";
import { useClient } from "@app/model/index.ts";
import type { RequestRow } from "@sdk";
import { ArrowLeft, MessageSquare, Square } from "lucide-react";
import { Link } from "wouter";
import { isActive } from "./filters.ts";
import { elapsedMs } from "./rows.ts";
import styles from "./story.module.css";
import { useTick } from "./ticking.ts";
import type { StoryData } from "./useStory.ts";
import { moment, standing, statusTone, statusWord, titleOf } from "./words.ts";

interface StoryHeaderProps {
  readonly requestId: string;
  readonly row: RequestRow | null;
  readonly story: StoryData;
  readonly mine: boolean;
  readonly onStop: () => void;
}

/** See the module's text; before the row has come it shows its id alone. */
export function StoryHeader({ requestId, row, story, mine, onStop }: StoryHeaderProps) {
  return (
    <header className={styles.head}>
      <Link href="/activity" className={styles.back}>
        <ArrowLeft size={14} aria-hidden="true" /> Activity
      </Link>
      <div className={styles.titleRow}>
        <h1>{row ? titleOf(row) : "A request"}</h1>
        {row && <Badge tone={statusTone(row.status)}>{statusWord(row.status, mine)}</Badge>}
      </div>
      {row && standing(row) && <p className={styles.standing}>{standing(row)}</p>}
      <Facts requestId={requestId} row={row} story={story} />
      <div className={styles.links}>
        {mine && row?.chat_id && (
          <Link href={`/c/${encodeURIComponent(row.chat_id)}`} className={styles.link}>
            <MessageSquare size={14} aria-hidden="true" /> Open its chat
          </Link>
        )}
        {row && isActive(row) && (
          <Button variant="quiet" size="s" icon={<Square size={14} />} onClick={onStop}>
            Stop it
          </Button>
        )}
      </div>
    </header>
  );
}

function Facts({ requestId, row, story }: { requestId: string; row: RequestRow | null; story: StoryData }) {
  const client = useClient();
  useTick(row !== null && isActive(row));
  const ran = row ? elapsedMs(row, client.now()) : null;
  const first = story.lines.find((line) => line.kind === "attempt" && line.firstOutputAt !== null);
  const usage = row?.usage;
  const facts: [string, string][] = [];
  if (row) {
    if (row.owner && !story.error) facts.push(["Whose", row.owner]);
    facts.push(["Agent", row.agent], ["Accepted", moment(row.created_at)]);
    if (ran !== null)
      facts.push(["Elapsed", formatDuration(isActive(row) ? Math.floor(ran / 1000) * 1000 : ran)]);
    if (first?.firstOutputAt && !story.short)
      facts.push(["First output", `after ${formatDuration(first.firstOutputAt - first.from)}`]);
    facts.push(["Attempts", String(row.attempt)]);
    if (row.tools) facts.push(["Tool calls", row.tools.toLocaleString()]);
    if (usage) {
      const about = usage.estimated ? "≈ " : "";
      facts.push([
        "Tokens",
        `${about}${usage.input_tokens.toLocaleString()} in, ${usage.output_tokens.toLocaleString()} out`,
      ]);
    }
    facts.push(["Events", story.log.count.toLocaleString()]);
  }
  return (
    <dl className={styles.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
      <div>
        <dt>Id</dt>
        <dd className={styles.id}>{requestId}</dd>
      </div>
    </dl>
  );
}
