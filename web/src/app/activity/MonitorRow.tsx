/** One request in the monitor: a row of the table on a wide screen, a card on a phone. */
import { formatDuration, IconButton, StatusDot } from "@app/design/index.ts";
import { useClient } from "@app/model/index.ts";
import type { RequestRow } from "@sdk";
import { ChevronRight, Square } from "lucide-react";
import { type KeyboardEvent, type MouseEvent, memo } from "react";
import { Link, useLocation } from "wouter";
import styles from "./activity.module.css";
import { isActive } from "./filters.ts";
import { Cell, HeadCell, Row } from "./gridParts.tsx";
import { elapsedMs, tokensOf } from "./rows.ts";
import { useTick } from "./ticking.ts";
import { moment, standing, statusWord, titleOf } from "./words.ts";

/** Where a request's story is. */
function storyPath(row: RequestRow, mine: boolean): string {
  const owner = !mine && row.owner ? `?owner=${encodeURIComponent(row.owner)}` : "";
  return `/activity/${encodeURIComponent(row.request_id)}${owner}`;
}

/** The column heads; a phone shows none. */
export function MonitorHead({ everyone }: { everyone: boolean }) {
  const names = [
    "Status",
    "Request",
    ...(everyone ? ["Whose"] : []),
    "Agent",
    "Age",
    "Elapsed",
    "Attempts",
    "Tokens",
    "Tools",
    "",
  ];
  return (
    <Row className={styles.headRow} aria-rowindex={1}>
      {names.map((name) => (
        <HeadCell key={name} className={styles[`c${name}`]}>
          {name || <span className="visually-hidden">Actions</span>}
        </HeadCell>
      ))}
    </Row>
  );
}

interface MonitorRowProps {
  readonly row: RequestRow;
  readonly id: string;
  readonly index: number;
  readonly mine: boolean;
  readonly everyone: boolean;
  /** Whether it is the one that the Tab key reaches. */
  readonly current: boolean;
  readonly onFocus: (key: string) => void;
  readonly onStop: (row: RequestRow) => void;
}

/** The row. Enter or a click opens its story; its title leads to the chat, if that is one's own. */
export const MonitorRow = memo(function MonitorRow(props: MonitorRowProps) {
  const { row, id, mine, everyone } = props;
  const [, go] = useLocation();
  const story = storyPath(row, mine);
  const title = titleOf(row);
  const open = (event: MouseEvent) => {
    if (event.target instanceof Element && event.target.closest("a, button")) return;
    if (window.getSelection()?.toString()) return;
    go(story);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.target !== event.currentTarget) return;
    event.preventDefault();
    go(story);
  };
  const stoppable = (mine || everyone) && isActive(row);
  return (
    <Row
      aria-rowindex={props.index + 2}
      className={styles.row}
      tabIndex={props.current ? 0 : -1}
      data-key={id}
      data-status={row.status}
      onClick={open}
      onKeyDown={onKeyDown}
      onFocus={(event) => event.target === event.currentTarget && props.onFocus(id)}
    >
      <Cell className={styles.cStatus}>
        <StatusDot status={row.status} />
        <span title={standing(row) || undefined}>{statusWord(row.status, mine)}</span>
      </Cell>
      <Cell className={styles.cRequest}>
        {mine && row.chat_id ? (
          <Link href={`/c/${encodeURIComponent(row.chat_id)}`} title={title}>
            {title}
          </Link>
        ) : (
          <span title={title}>{title}</span>
        )}
      </Cell>
      {everyone && <Cell className={styles.cWhose}>{row.owner ?? "you"}</Cell>}
      <Cell className={styles.cAgent}>{row.agent}</Cell>
      <Times row={row} />
      <Count name="Attempts" value={row.attempt} plain={row.attempt <= 1} />
      <Count name="Tokens" value={tokensOf(row)} approximate={row.usage?.estimated === true} />
      <Count name="Tools" value={row.tools} />
      <Cell className={styles.cActions}>
        {stoppable && (
          <IconButton label={`Stop ${title}`} icon={<Square size={14} />} onClick={() => props.onStop(row)} />
        )}
        <Link href={story} className={styles.chevron} aria-label={`The story of ${title}`}>
          <ChevronRight size={16} aria-hidden="true" />
        </Link>
      </Cell>
    </Row>
  );
});

/** Age and running time; only these are rendered again each second, and only where they change. */
function Times({ row }: { row: RequestRow }) {
  const client = useClient();
  useTick();
  const now = client.now();
  const ran = elapsedMs(row, now);
  return (
    <>
      <Cell className={styles.cAge} title={moment(row.created_at)} data-name="Age">
        {wholeSeconds(now - row.created_at)}
      </Cell>
      <Cell className={styles.cElapsed} title="Since it was first taken up" data-name="Elapsed">
        {ran === null ? "–" : isActive(row) ? wholeSeconds(ran) : formatDuration(ran)}
      </Cell>
    </>
  );
}

/** A length that ticks: no parts of a second in it. */
function wholeSeconds(ms: number): string {
  return formatDuration(Math.max(0, Math.floor(ms / 1_000) * 1_000))
    .replace(/^0 ms$/, "0 s")
    .replace(".0 s", " s");
}

function Count(props: { name: string; value: number; plain?: boolean; approximate?: boolean }) {
  const { name, value, plain, approximate } = props;
  return (
    <Cell className={styles[`c${name}`]} data-name={name} data-none={value === 0 || plain || undefined}>
      {value === 0 ? "–" : `${approximate ? "≈ " : ""}${value.toLocaleString()}`}
    </Cell>
  );
}
