/** Edits a message of the person's where it stands. Saving makes another version beside it; the old one stays. */
import { Button } from "@app/design/index.ts";
import { useConnection, usePreferences } from "@app/model/index.ts";
import { ComposerPrimitive, MessagePrimitive, useAui, useAuiState } from "@assistant-ui/react";
import { type KeyboardEvent, useEffect, useRef } from "react";
import { keyMeaning, roomFor, TEXT_BYTES_MAX } from "./composerRules.ts";
import styles from "./message.module.css";
import { useRow } from "./row.ts";

const NOTE = "Asks again as another version; this one stays.";

/** The message as a text field, with the keys of the composer; Escape leaves it as it was. */
export function EditComposer() {
  const { message } = useRow();
  const aui = useAui();
  const { enterSends } = usePreferences();
  const { limits } = useConnection();
  const text = useAuiState((state) => state.composer.text);
  const field = useRef<HTMLTextAreaElement>(null);
  const room = roomFor(text, limits.text_bytes_max ?? TEXT_BYTES_MAX);
  useEffect(() => {
    const element = field.current;
    element?.focus({ preventScroll: false });
    element?.setSelectionRange(element.value.length, element.value.length);
  }, []);
  const leave = () => {
    aui.composer.cancel();
    // The focus goes back to the message that was edited, once it is drawn again.
    requestAnimationFrame(() =>
      document.querySelector<HTMLElement>(`[data-message-id="${CSS.escape(message.id)}"]`)?.focus(),
    );
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    const { isComposing } = event.nativeEvent;
    const meaning = keyMeaning({ ...pick(event), isComposing }, { enterSends, empty: false });
    if (meaning === "send") {
      event.preventDefault();
      event.currentTarget.closest("form")?.requestSubmit();
    } else if (meaning === "leave") {
      event.preventDefault();
      event.stopPropagation();
      leave();
    }
  };
  return (
    <MessagePrimitive.Root className={styles.question} role="article" aria-label="Edit your message">
      <ComposerPrimitive.Root
        className={styles.edit}
        onSubmit={(event) => {
          if (room.over) event.preventDefault();
        }}
      >
        <ComposerPrimitive.Input
          ref={field}
          className={styles.editField}
          aria-label="Your message"
          submitMode="none"
          cancelOnEscape={false}
          maxRows={16}
          onKeyDown={onKeyDown}
        />
        <div className={styles.editBar}>
          <span className={styles.editNote}>{room.over ? "Too long to send." : NOTE}</span>
          <Button variant="quiet" size="s" onClick={leave}>
            Cancel
          </Button>
          <Button variant="primary" size="s" type="submit" disabled={room.over || !text.trim()}>
            Send
          </Button>
        </div>
      </ComposerPrimitive.Root>
    </MessagePrimitive.Root>
  );
}

function pick(event: KeyboardEvent) {
  const { key, shiftKey, ctrlKey, metaKey, altKey, keyCode } = event;
  return { key, shiftKey, ctrlKey, metaKey, altKey, keyCode };
}
