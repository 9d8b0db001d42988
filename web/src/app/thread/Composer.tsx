/**
 * Where the person writes: text that grows with what is in it, who answers, how to wait, send and stop.
 *
 * The text lives in the runtime's composer and in the chat's draft; `useDraftSync` keeps the two the same.
 */
import { IconButton, toast } from "@app/design/index.ts";
import { type Mode, useConnection, usePreferences } from "@app/model/index.ts";
import { ComposerPrimitive, useAui, useAuiState } from "@assistant-ui/react";
import { ArrowUp, Square } from "lucide-react";
import { type ClipboardEvent, type KeyboardEvent, type RefObject, useId } from "react";
import { AgentPicker } from "./AgentPicker.tsx";
import styles from "./composer.module.css";
import { bytesOf, formatBytes, keyMeaning, offersStop, roomFor, TEXT_BYTES_MAX } from "./composerRules.ts";
import { editLastMessage } from "./editing.ts";
import { ModeToggle } from "./ModeToggle.tsx";
import { useDraftSync } from "./useDraftSync.ts";

/** Lines before the field scrolls by itself. */
const ROWS_MAX = 12;

/** What the composer takes. */
export interface ComposerProps {
  /** Whose draft it holds. */
  draftKey: string;
  field: RefObject<HTMLTextAreaElement | null>;
  agent: string | null;
  onAgent: (name: string) => void;
  mode: Mode;
  onMode: (mode: Mode) => void;
  /** Something runs in this chat. */
  running: boolean;
  /** The last message on screen is an answer on its way: what is sent now waits for it. */
  tailIsLive: boolean;
  /** The last answer waits for a decision of the person's. */
  needsYou: boolean;
  /** The composer waits for the answer. */
  waiting: boolean;
  onStop: () => void;
}

/** The composer of a thread. */
export function Composer(props: ComposerProps) {
  const { field, running, waiting, mode } = props;
  const aui = useAui();
  const { enterSends } = usePreferences();
  const connection = useConnection();
  const text = useAuiState((state) => state.composer.text);
  const noteId = useId();
  useDraftSync(props.draftKey);

  const bytesMax = connection.limits.text_bytes_max ?? TEXT_BYTES_MAX;
  const room = roomFor(text, bytesMax);
  const empty = text.trim() === "";
  const stopInstead = offersStop({ running, waiting, empty });
  const note = noteFor({ ...props, offline: !isOnline(connection.phase), empty });

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    const { key, shiftKey, ctrlKey, metaKey, altKey, keyCode, nativeEvent } = event;
    const press = { key, shiftKey, ctrlKey, metaKey, altKey, keyCode, isComposing: nativeEvent.isComposing };
    const meaning = keyMeaning(press, { enterSends, empty: text === "" });
    if (meaning === "send") {
      event.preventDefault();
      event.currentTarget.closest("form")?.requestSubmit();
    } else if (meaning === "editLast") {
      if (editLastMessage(aui)) event.preventDefault();
    } else if (meaning === "leave" && waiting) {
      event.preventDefault();
      props.onStop();
    }
  };
  const onPaste = (event: ClipboardEvent<HTMLTextAreaElement>) => {
    const pasted = event.clipboardData.getData("text/plain");
    const { selectionStart, selectionEnd, value } = event.currentTarget;
    const after = value.length - (selectionEnd - selectionStart) + pasted.length;
    // Most pastes are short: only one that could reach the limit is counted exactly.
    if (after * 3 <= bytesMax || bytesOf(value) + bytesOf(pasted) <= bytesMax) return;
    event.preventDefault();
    toast({
      text: `That is ${formatBytes(bytesOf(pasted))}; a message holds at most ${formatBytes(bytesMax)}. Paste a part of it, or send it in several messages.`,
    });
  };

  return (
    <div className={styles.place}>
      <ComposerPrimitive.Root
        className={styles.composer}
        onSubmit={(event) => {
          if (room.over) event.preventDefault();
        }}
      >
        <ComposerPrimitive.Input
          ref={field}
          className={styles.field}
          aria-label="Message"
          aria-describedby={noteId}
          placeholder={waiting ? "You can write on while you wait" : "Ask something"}
          rows={1}
          maxRows={ROWS_MAX}
          dir="auto"
          submitMode="none"
          cancelOnEscape={false}
          addAttachmentOnPaste={false}
          unstable_focusOnRunStart={false}
          unstable_focusOnScrollToBottom={false}
          unstable_focusOnThreadSwitched={false}
          autoFocus={!matchMedia("(pointer: coarse)").matches}
          enterKeyHint={enterSends ? "send" : "enter"}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        <div className={styles.bar}>
          <AgentPicker value={props.agent} onChange={props.onAgent} />
          <ModeToggle value={mode} onChange={props.onMode} />
          <span className={styles.grow} />
          {room.tell && (
            <span className={styles.count} data-over={room.over || undefined} role="status">
              {room.over ? `${formatBytes(-room.left)} too long` : `${formatBytes(room.left)} left`}
            </span>
          )}
          {stopInstead ? (
            <IconButton
              label="Stop"
              variant="primary"
              shortcut={waiting ? "escape" : undefined}
              icon={<Square size={14} fill="currentColor" />}
              onClick={props.onStop}
            />
          ) : (
            <ComposerPrimitive.Send asChild disabled={empty || room.over}>
              <IconButton
                label="Send"
                variant="primary"
                shortcut={enterSends ? "enter" : "mod+enter"}
                icon={<ArrowUp size={18} />}
              />
            </ComposerPrimitive.Send>
          )}
        </div>
      </ComposerPrimitive.Root>
      <p className={styles.note} id={noteId}>
        {note}
      </p>
    </div>
  );
}

function isOnline(phase: string): boolean {
  return phase === "online" || phase === "idle" || phase === "connecting";
}

function noteFor(state: {
  offline: boolean;
  tailIsLive: boolean;
  needsYou: boolean;
  waiting: boolean;
  empty: boolean;
}): string {
  if (state.offline) return "What you send is kept here until you are connected.";
  if (state.needsYou) return "The answer above needs your decision.";
  if (state.waiting) return "Waiting for the answer. It goes on if you leave this page.";
  if (state.tailIsLive && !state.empty) return "This will be queued behind the answer that is running.";
  return "";
}
