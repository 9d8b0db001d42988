/** The head of a chat: its title, which can be changed in place, and what runs here and elsewhere. */
import { Badge } from "@app/design/index.ts";
import { chatActions, useClient, useReadable } from "@app/model/index.ts";
import { useTopBarPlace } from "@app/shell/index.ts";
import { LIMITS, LIVE_STATUSES, type RequestRow } from "@sdk";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { Link } from "wouter";
import styles from "./thread.module.css";

/** What the head says: `running` counts what has no outcome in the chat; one of that may wait for the person. */
export interface ThreadHeaderProps {
  chatId: string;
  title: string;
  running: number;
  needsYou: boolean;
}

/** The head of the chat. */
export function ThreadHeader({ chatId, title, running, needsYou }: ThreadHeaderProps) {
  const elsewhere = useRunningElsewhere(chatId);
  const inBar = useTopBarPlace();
  const content = (
    <>
      <Title chatId={chatId} title={title} />
      <span className={styles.counts}>
        {needsYou ? (
          <Badge tone="wait">Needs you</Badge>
        ) : (
          running > 0 &&
          !inBar && <Badge tone="run">{running === 1 ? "1 running" : `${running} running`}</Badge>
        )}
        {elsewhere > 0 && (
          <Link
            href="/activity"
            className={styles.elsewhere}
            aria-label={`${elsewhere} running elsewhere`}
            data-tip="Running in other chats"
          >
            {elsewhere} running elsewhere
          </Link>
        )}
      </span>
    </>
  );
  // On a phone the top bar has room for one head: the chat's.
  return inBar ? (
    createPortal(<div className={styles.barHead}>{content}</div>, inBar)
  ) : (
    <header className={styles.header}>{content}</header>
  );
}

function Title({ chatId, title }: { chatId: string; title: string }) {
  const [editing, setEditing] = useState(false);
  const [text, setText] = useState(title);
  const field = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!editing) return;
    field.current?.focus();
    field.current?.select();
  }, [editing]);
  const begin = () => {
    setText(title);
    setEditing(true);
  };
  const end = (save: boolean, refocus: boolean) => {
    if (!editing) return;
    setEditing(false);
    const trimmed = text.trim();
    if (save && trimmed && trimmed !== title) void chatActions.rename(chatId, trimmed);
    if (refocus) requestAnimationFrame(() => button.current?.focus());
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") end(true, true);
    else if (event.key === "Escape") {
      event.stopPropagation();
      end(false, true);
    }
  };
  if (editing) {
    return (
      <h1 className={styles.title}>
        <input
          ref={field}
          className={styles.titleField}
          dir="auto"
          aria-label="Title of this chat"
          value={text}
          maxLength={LIMITS.title_chars_max}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
          onBlur={() => end(true, false)}
        />
      </h1>
    );
  }
  return (
    <h1 className={styles.title}>
      <button
        ref={button}
        type="button"
        className={styles.titleButton}
        dir="auto"
        onClick={begin}
        data-tip="Rename"
      >
        {title || "Untitled chat"}
      </button>
    </h1>
  );
}

/** How many requests of other chats are on their way; those that wait for the person are the inbox's to tell. */
function useRunningElsewhere(chatId: string): number {
  const requests = useReadable(useClient().feed.requests);
  return useMemo(() => countElsewhere(requests, chatId), [requests, chatId]);
}

/** Counts what runs in other chats than this one. */
function countElsewhere(requests: ReadonlyMap<string, RequestRow>, chatId: string): number {
  let count = 0;
  for (const row of requests.values()) {
    if (row.chat_id === chatId || row.deleted || row.status === "waiting") continue;
    if ((LIVE_STATUSES as readonly string[]).includes(row.status)) count += 1;
  }
  return count;
}
