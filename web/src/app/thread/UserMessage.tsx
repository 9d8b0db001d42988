/** What the person said, and what can be done with it. */
import { Button, IconButton } from "@app/design/index.ts";
import { ActionBarPrimitive, MessagePrimitive } from "@assistant-ui/react";
import { CloudOff, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { Branches } from "./Branches.tsx";
import { CopyButton } from "./CopyButton.tsx";
import styles from "./message.module.css";
import { useRow } from "./row.ts";
import { useThreadScreen } from "./screen.ts";
import { SENT_SOON_MS } from "./statusWords.ts";
import { useDelayed } from "./useDelayed.ts";

/** A longer message is folded until it is asked for: what was pasted must not bury its answer. */
const FOLD_CHARS = 4_000;

/** One message of the person's. */
export function UserMessage() {
  const { message, isLast } = useRow();
  const { askRemoval } = useThreadScreen();
  const [unfolded, setUnfolded] = useState(false);
  const long = message.text.length > FOLD_CHARS;
  return (
    <MessagePrimitive.Root
      className={styles.question}
      role="article"
      aria-label="You"
      tabIndex={-1}
      data-unsent={message.unsent || undefined}
    >
      <h2 className={styles.hidden}>You</h2>
      <div className={styles.said} dir="auto">
        {long && !unfolded ? `${message.text.slice(0, FOLD_CHARS).trimEnd()}…` : message.text}
      </div>
      {long && (
        <Button
          variant="quiet"
          size="s"
          className={styles.unfold}
          aria-expanded={unfolded}
          onClick={() => setUnfolded(!unfolded)}
        >
          {unfolded ? "Show less" : `Show all (${message.text.length.toLocaleString("en")} characters)`}
        </Button>
      )}
      {message.unsent && <Unsent />}
      <ActionBarPrimitive.Root className={styles.actions} data-always={isLast || undefined}>
        <Branches />
        <CopyButton label="Copy" text={() => message.text} />
        {!message.unsent && (
          <>
            <ActionBarPrimitive.Edit asChild>
              <IconButton label="Edit" icon={<Pencil size={16} />} />
            </ActionBarPrimitive.Edit>
            <IconButton
              label="Delete"
              icon={<Trash2 size={16} />}
              onClick={() => askRemoval(message.id, "user")}
            />
          </>
        )}
      </ActionBarPrimitive.Root>
    </MessagePrimitive.Root>
  );
}

/** The mark of a message that has not left this browser, with what to do about it. */
function Unsent() {
  const { message } = useRow();
  const { sendNow, takeBack } = useThreadScreen();
  const slow = useDelayed(true, SENT_SOON_MS);
  if (!slow && !message.refusal) return null;
  return (
    <div className={styles.unsent}>
      <CloudOff size={14} aria-hidden="true" />
      <span>{message.refusal || "Not sent yet. It goes out by itself."}</span>
      <span className={styles.unsentActions}>
        <Button variant="quiet" size="s" onClick={() => sendNow(message.id)}>
          Send now
        </Button>
        <Button variant="quiet" size="s" onClick={() => takeBack(message.id)}>
          Take back
        </Button>
      </span>
    </div>
  );
}
