/** One chat in the sidebar: its title, how it stands, and what can be done with it. */
import { classes, IconButton, Menu, StatusDot } from "@app/design/index.ts";
import { type ChatBadge, type ChatItem, chatActions } from "@app/model/index.ts";
import { LIMITS } from "@sdk";
import { Archive, ArchiveRestore, Ellipsis, Pencil, PencilLine, Trash2 } from "lucide-react";
import { type KeyboardEvent, memo, useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import styles from "./chats.module.css";

/** What a badge says in words. */
const BADGE_WORDS: Record<NonNullable<ChatBadge>, string> = {
  running: "answering",
  waiting: "needs you",
  failed: "failed",
  unread: "unread",
  unsent: "not sent yet",
};

/** The row; F2 and a double click rename in place, Delete deletes with an offer to undo. */
export const ChatRow = memo(function ChatRow({ chat, current }: { chat: ChatItem; current: boolean }) {
  const [renaming, setRenaming] = useState(false);
  const [, go] = useLocation();
  const link = useRef<HTMLAnchorElement>(null);
  const title = chat.title || "New chat";

  function archive() {
    void chatActions.archive(chat.chatId, !chat.archived);
    if (current && !chat.archived) go("/");
  }

  function remove() {
    void chatActions.remove(chat.chatId);
    if (current) go("/");
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "F2") {
      event.preventDefault();
      setRenaming(true);
    } else if (event.key === "Delete") {
      event.preventDefault();
      remove();
    }
  }

  if (renaming) {
    return (
      <div className={styles.row}>
        <RenameField
          chat={chat}
          onDone={() => {
            setRenaming(false);
            requestAnimationFrame(() => link.current?.focus());
          }}
        />
      </div>
    );
  }
  return (
    <div className={classes(styles.row, chat.unread && styles.unread)} data-current={current || undefined}>
      <Link
        ref={link}
        href={`/c/${chat.chatId}`}
        className={styles.link}
        data-chat={chat.chatId}
        aria-current={current ? "page" : undefined}
        onDoubleClick={() => setRenaming(true)}
        onKeyDown={onKeyDown}
      >
        <span className={styles.title} dir="auto">
          {title}
        </span>
        {chat.draft && !chat.badge && (
          <span className={styles.state} data-tip="Has a draft">
            <PencilLine size={13} className={styles.draft} aria-hidden="true" />
            <span className="visually-hidden">, has a draft</span>
          </span>
        )}
        {chat.badge && (
          <span className={styles.state} data-tip={badgeWords(chat)}>
            <StatusDot status={chat.badge} />
            <span className="visually-hidden">, {badgeWords(chat)}</span>
          </span>
        )}
      </Link>
      <Menu
        label={`Actions for ${title}`}
        keepFocus
        trigger={
          <IconButton
            label={`Actions for ${title}`}
            data-tip="Actions"
            icon={<Ellipsis size={16} />}
            className={styles.menu}
          />
        }
        items={[
          {
            label: "Rename",
            icon: <Pencil size={15} />,
            shortcut: "f2",
            onSelect: () => setRenaming(true),
          },
          {
            label: chat.archived ? "Take out of the archive" : "Archive",
            icon: chat.archived ? <ArchiveRestore size={15} /> : <Archive size={15} />,
            onSelect: archive,
          },
          {
            label: "Delete",
            icon: <Trash2 size={15} />,
            danger: true,
            separatorBefore: true,
            shortcut: "delete",
            onSelect: remove,
          },
        ]}
      />
    </div>
  );
});

function badgeWords(chat: ChatItem): string {
  if (chat.badge === "running" && chat.running > 1) return `${chat.running} answering`;
  return chat.badge ? BADGE_WORDS[chat.badge] : "";
}

function RenameField({ chat, onDone }: { chat: ChatItem; onDone: () => void }) {
  const [text, setText] = useState(chat.title);
  const field = useRef<HTMLInputElement>(null);
  const ended = useRef(false);
  useEffect(() => {
    const begin = () => {
      field.current?.focus();
      field.current?.select();
    };
    begin();
    // The menu that asked for it may take the focus away as it closes; who has begun to type is left alone.
    const frame = requestAnimationFrame(() => {
      if (document.activeElement !== field.current) begin();
    });
    return () => cancelAnimationFrame(frame);
  }, []);

  function end(save: boolean) {
    if (ended.current) return;
    ended.current = true;
    const next = text.trim();
    if (save && next && next !== chat.title) void chatActions.rename(chat.chatId, next);
    onDone();
  }

  return (
    <input
      ref={field}
      className={styles.rename}
      aria-label={`New title of ${chat.title || "this chat"}`}
      value={text}
      maxLength={LIMITS.title_chars_max}
      onChange={(event) => setText(event.target.value)}
      onBlur={() => end(true)}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === "Enter") end(true);
        if (event.key === "Escape") {
          event.stopPropagation();
          end(false);
        }
      }}
    />
  );
}
