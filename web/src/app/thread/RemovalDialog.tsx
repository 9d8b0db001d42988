/** Asks before a message is deleted: the server keeps nothing to restore it from. */
import { Button, Dialog } from "@app/design/index.ts";
import styles from "./thread.module.css";

/** Open while `removal` is given. */
export function RemovalDialog(props: {
  removal: { readonly messageId: string; readonly role: "user" | "assistant" } | null;
  onClose: () => void;
  onConfirm: (messageId: string) => void;
}) {
  const { removal, onClose, onConfirm } = props;
  return (
    <Dialog open={removal !== null} onClose={onClose} title="Delete this message?">
      <p>
        {removal?.role === "user"
          ? "Your message, its answers and everything said after them will be deleted. Other versions stay. This cannot be undone."
          : "This answer and everything said after it will be deleted. Other versions stay. This cannot be undone."}
      </p>
      <div className={styles.dialogBar}>
        <Button variant="quiet" onClick={onClose}>
          Keep it
        </Button>
        <Button
          variant="danger"
          onClick={() => {
            if (removal) onConfirm(removal.messageId);
            onClose();
          }}
        >
          Delete
        </Button>
      </div>
    </Dialog>
  );
}
