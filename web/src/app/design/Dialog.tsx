/** A modal dialog: the browser's own, in the top layer, which keeps the focus in and gives it back. */
import X from "lucide-react/icons/x";
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { IconButton } from "./Button.tsx";
import { classes } from "./classes.ts";
import styles from "./dialog.module.css";
import { LayerContext } from "./layer.ts";

/** What `Dialog` takes. */
export interface DialogProps {
  open: boolean;
  /** Called when the person wants it closed (Escape, the cross, beside it); the caller then sets `open` to false. */
  onClose: () => void;
  /** The heading, and the dialog's name. */
  title: string;
  children: ReactNode;
  wide?: boolean | undefined;
  /** No heading shown (the title is still its name), no padding, near the top: for the palette. */
  bare?: boolean | undefined;
}

/** A modal dialog; nothing of it is in the document while it is closed. The focus returns to where it was. */
export function Dialog({ open, ...rest }: DialogProps) {
  return open ? <OpenDialog {...rest} /> : null;
}

function OpenDialog({ onClose, title, children, wide, bare }: Omit<DialogProps, "open">) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [layer, setLayer] = useState<HTMLElement | null>(null);
  const titleId = useId();

  useEffect(() => {
    const element = dialog.current;
    if (!element) return;
    const before = document.activeElement;
    element.showModal();
    setLayer(element);
    return () => {
      element.close();
      // The browser gives the focus back only while the dialog is still in the document; React may have taken it out.
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);

  return (
    <dialog
      ref={dialog}
      className={classes(styles.dialog, wide && styles.wide, bare && styles.top)}
      aria-labelledby={bare ? undefined : titleId}
      aria-label={bare ? title : undefined}
      onCancel={(event) => {
        if (event.target !== event.currentTarget) return;
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target !== event.currentTarget) return;
        const box = event.currentTarget.getBoundingClientRect();
        const inside =
          event.clientX >= box.left &&
          event.clientX <= box.right &&
          event.clientY >= box.top &&
          event.clientY <= box.bottom;
        if (!inside) onClose();
      }}
    >
      <LayerContext.Provider value={layer}>
        {!bare && (
          <div className={styles.head}>
            <h2 id={titleId}>{title}</h2>
            <IconButton label="Close" icon={<X size={18} />} onClick={onClose} />
          </div>
        )}
        <div className={classes(styles.body, bare && styles.bare)}>{children}</div>
      </LayerContext.Provider>
    </dialog>
  );
}
