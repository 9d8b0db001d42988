/** The inbox: what finished, failed or needs the person since they last looked. */
import { Button, classes, EmptyState, formatAge, Spinner, StatusDot } from "@app/design/index.ts";
import { type InboxItem, useClient, useInbox } from "@app/model/index.ts";
import { CheckCheck, Inbox } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import styles from "./inbox.module.css";

/** Looking this long counts as having looked. */
const LOOKED_MS = 2500;

const KIND_STATUS = { done: "completed", failed: "failed", waiting: "waiting" } as const;
const KIND_WORDS = { done: "Answered", failed: "Failed", waiting: "Needs you" } as const;

/** The screen at /inbox. What was new when it was opened stays marked as new until it is left. */
export function InboxScreen() {
  const inbox = useInbox();
  const fresh = useFresh(inbox.items);
  const { unseen, markAllSeen } = inbox;
  useEffect(() => {
    if (unseen === 0) return;
    const timer = setTimeout(() => document.visibilityState === "visible" && markAllSeen(), LOOKED_MS);
    return () => clearTimeout(timer);
  }, [unseen, markAllSeen]);

  const waiting = inbox.items.filter((item) => item.kind === "waiting");
  const rest = inbox.items.filter((item) => item.kind !== "waiting");
  const sections = [
    { title: "Needs you", items: waiting },
    { title: "New", items: rest.filter((item) => fresh.has(item.requestId)) },
    { title: "Earlier", items: rest.filter((item) => !fresh.has(item.requestId)) },
  ];
  return (
    <div className={styles.screen}>
      <header className={styles.head}>
        <h1>Inbox</h1>
        {inbox.items.some((item) => !item.seen && item.kind !== "waiting") && (
          <Button size="s" variant="quiet" icon={<CheckCheck size={15} />} onClick={markAllSeen}>
            Mark all as seen
          </Button>
        )}
      </header>
      <div className={styles.body}>
        {inbox.items.length === 0 ? (
          inbox.loading ? (
            <div className={styles.loading}>
              <Spinner label="Loading the inbox" />
            </div>
          ) : (
            <EmptyState icon={<Inbox size={32} strokeWidth={1.4} />} title="Nothing waits for you">
              What finishes, fails or needs your decision while you are elsewhere is gathered here.
            </EmptyState>
          )
        ) : (
          sections.map(
            ({ title, items }) =>
              items.length > 0 && (
                <section key={title} className={styles.section} aria-label={title}>
                  <h2>{title}</h2>
                  <ul>
                    {items.map((item) => (
                      <li key={item.requestId}>
                        <Entry item={item} fresh={fresh.has(item.requestId)} />
                      </li>
                    ))}
                  </ul>
                </section>
              ),
          )
        )}
      </div>
    </div>
  );
}

function Entry({ item, fresh }: { item: InboxItem; fresh: boolean }) {
  const client = useClient();
  const href = item.chatId === null ? `/activity/${item.requestId}` : `/c/${item.chatId}`;
  const told = item.kind === "failed" && item.reason ? item.reason : item.question;
  return (
    <Link href={href} className={classes(styles.entry, fresh && styles.fresh)}>
      <span className={styles.dot}>
        <StatusDot status={KIND_STATUS[item.kind]} />
      </span>
      <span className={styles.words}>
        <span className={styles.title} dir="auto">
          {item.title || item.question || "Untitled chat"}
        </span>
        {told && told !== item.title && <span className={styles.told}>{told}</span>}
      </span>
      <span className={styles.side}>
        <span className={styles[item.kind]}>{KIND_WORDS[item.kind]}</span>
        <span className={styles.age}>
          {item.agent} · {formatAge(client.now() - item.at)}
        </span>
      </span>
    </Link>
  );
}

/** The ids of what was not seen at any time since this screen was opened. */
function useFresh(items: readonly InboxItem[]): ReadonlySet<string> {
  const kept = useRef(new Set<string>());
  const [fresh, setFresh] = useState<ReadonlySet<string>>(() => new Set());
  useEffect(() => {
    const before = kept.current.size;
    for (const item of items) if (!item.seen) kept.current.add(item.requestId);
    if (kept.current.size !== before) setFresh(new Set(kept.current));
  }, [items]);
  return fresh;
}
