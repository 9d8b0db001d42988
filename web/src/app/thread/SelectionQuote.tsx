/** A small bar over selected text of a message: quote it, or copy it. */
import { Button } from "@app/design/index.ts";
import { SelectionToolbarPrimitive } from "@assistant-ui/react";
import { Quote } from "lucide-react";
import styles from "./message.module.css";
import { useThreadScreen } from "./screen.ts";

/** Appears while text inside one message is selected. */
export function SelectionQuote() {
  const { actions, focusComposer } = useThreadScreen();
  return (
    <SelectionToolbarPrimitive.Root className={styles.selection}>
      <Button
        size="s"
        variant="quiet"
        icon={<Quote size={14} />}
        onClick={() => {
          const selection = window.getSelection();
          if (!selection) return;
          actions.quote(selection.toString());
          selection.removeAllRanges();
          focusComposer();
        }}
      >
        Quote
      </Button>
    </SelectionToolbarPrimitive.Root>
  );
}
