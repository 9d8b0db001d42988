/** Where toasts are shown: one status region, reachable with F8, that holds their time while somebody is there. */
import X from "lucide-react/icons/x";
import { type FocusEvent, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Button, IconButton } from "./Button.tsx";
import { classes } from "./classes.ts";
import { useShortcut } from "./shortcuts.ts";
import styles from "./toasts.module.css";
import { currentToasts, dismiss, holdToasts, subscribeToasts, type Toast } from "./toasts.ts";

/** The toasts; mount it once. */
export function Toasts() {
  const list = useSyncExternalStore(subscribeToasts, currentToasts);
  const region = useRef<HTMLElement>(null);
  const before = useRef<HTMLElement | null>(null);
  const [hovered, setHovered] = useState(false);
  const [focused, setFocused] = useState(false);
  const hidden = useHidden();
  useEffect(
    () => holdToasts(list.length > 0 && (hovered || focused || hidden)),
    [list, hovered, focused, hidden],
  );
  useEffect(() => {
    // A toast that goes while the pointer or the focus is on it sends no leave and no blur.
    if (list.length > 0) return;
    setHovered(false);
    setFocused(false);
  }, [list]);
  useShortcut("f8", "Go to the latest notice", () => {
    before.current = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    region.current?.querySelector<HTMLElement>("li:last-child button")?.focus();
  });

  function goBack() {
    if (before.current?.isConnected) before.current.focus();
    before.current = null;
  }

  function onBlur(event: FocusEvent) {
    if (!event.currentTarget.contains(event.relatedTarget)) setFocused(false);
  }

  return (
    <section
      ref={region}
      className={styles.region}
      aria-label="Notices (F8)"
      onPointerEnter={() => setHovered(true)}
      onPointerLeave={() => setHovered(false)}
      onFocus={() => setFocused(true)}
      onBlur={onBlur}
      onKeyDown={(event) => event.key === "Escape" && goBack()}
    >
      <div role="status" aria-atomic="false" aria-relevant="additions">
        <ol className={styles.list}>
          {list.map((one) => (
            <ToastRow key={one.id} toast={one} onGone={goBack} />
          ))}
        </ol>
      </div>
    </section>
  );
}

function ToastRow({ toast, onGone }: { toast: Toast; onGone: () => void }) {
  const { id, text, action, tone = "neutral" } = toast;
  return (
    <li className={classes(styles.toast, styles[tone])}>
      <span className={styles.text}>{text}</span>
      {action && (
        <Button
          size="s"
          variant="quiet"
          className={styles.action}
          onClick={() => {
            dismiss(id);
            onGone();
            action.onSelect();
          }}
        >
          {action.label}
        </Button>
      )}
      <IconButton
        label="Dismiss"
        icon={<X size={16} />}
        className={styles.close}
        onClick={() => {
          dismiss(id);
          onGone();
        }}
      />
    </li>
  );
}

function useHidden(): boolean {
  return useSyncExternalStore(
    (listener) => {
      document.addEventListener("visibilitychange", listener);
      return () => document.removeEventListener("visibilitychange", listener);
    },
    () => document.visibilityState === "hidden",
  );
}
