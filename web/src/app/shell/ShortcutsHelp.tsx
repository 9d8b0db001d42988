/** The list of all keyboard shortcuts that hold now. */
import { Dialog, Kbd, shortcuts, useShortcut } from "@app/design/index.ts";
import { closeOverlay, openOverlay, useOverlay } from "./overlays.ts";
import styles from "./panels.module.css";

/** The help dialog, and the key that opens it. */
export function ShortcutsHelp() {
  const open = useOverlay() === "help";
  useShortcut("?", "Show this help", () => openOverlay("help"));
  return (
    <Dialog open={open} onClose={() => closeOverlay("help")} title="Keyboard shortcuts">
      <List />
    </Dialog>
  );
}

function List() {
  return (
    <dl className={styles.keys}>
      {shortcuts().map(({ keys, description }) => (
        <div key={keys} className={styles.keyRow}>
          <dt>{description}</dt>
          <dd>
            <Kbd keys={keys} />
          </dd>
        </div>
      ))}
      <div className={styles.keyRow}>
        <dt>Rename or delete the chat that has the focus</dt>
        <dd>
          <Kbd keys="F2" /> <Kbd keys="delete" />
        </dd>
      </div>
    </dl>
  );
}
