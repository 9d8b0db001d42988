/** A menu that opens from a button, with the keyboard behaviour menus have. What draws it comes when one is first opened. */
import {
  cloneElement,
  type KeyboardEvent,
  type MouseEvent,
  type ReactElement,
  type ReactNode,
  useRef,
  useState,
} from "react";
import type { OpenMenu as Opened } from "./OpenMenu.tsx";

/** One line of a menu. Where one of them says `checked`, the menu is a choice of one among them. */
export interface MenuItem {
  label: string;
  /** Beside the label, fainter. */
  note?: string | undefined;
  /** Under the label: a sentence. */
  detail?: string | undefined;
  checked?: boolean | undefined;
  icon?: ReactNode;
  onSelect: () => void;
  danger?: boolean | undefined;
  /** Keys that do the same, in the notation of `useShortcut`; shown, not bound. */
  shortcut?: string | undefined;
  disabled?: boolean | undefined;
  separatorBefore?: boolean | undefined;
}

/** What `Menu` takes. */
export interface MenuProps {
  /** The button that opens it; it must pass its props on to a DOM button. */
  trigger: ReactElement<TriggerProps>;
  items: readonly MenuItem[];
  /** The menu's name for screen readers. */
  label: string;
  align?: "start" | "center" | "end" | undefined;
  side?: "top" | "bottom" | "left" | "right" | undefined;
  /** Told when it opens and closes. */
  onOpenChange?: ((open: boolean) => void) | undefined;
  /** Where the focus goes after an item was chosen stays with the item: true leaves the trigger alone. */
  keepFocus?: boolean | undefined;
}

/** What the trigger is given. */
interface TriggerProps {
  onClick?: (event: MouseEvent<HTMLElement>) => void;
  onKeyDown?: (event: KeyboardEvent<HTMLElement>) => void;
  "aria-haspopup"?: "menu";
  "aria-expanded"?: boolean;
  "data-state"?: "open" | "closed";
}

let OpenMenu: typeof Opened | null = null;

/** Fetches what draws menus; the page does so when it is idle, so that the first one opens at once. */
export async function loadMenu(): Promise<void> {
  OpenMenu = (await import("./OpenMenu.tsx")).OpenMenu;
}

/**
 * A menu. Not modal: the page behind stays as it is. Choosing an item closes it and gives the focus back to the trigger,
 * unless `keepFocus` says that the chosen item moves the focus itself.
 */
export function Menu({ trigger, onOpenChange, ...rest }: MenuProps) {
  const [opened, setOpened] = useState<{ button: HTMLElement; byKey: boolean } | null>(null);
  const wanted = useRef(false);
  const show = async (button: HTMLElement, byKey: boolean) => {
    wanted.current = true;
    if (OpenMenu === null) await loadMenu();
    if (!wanted.current || !button.isConnected) return;
    setOpened({ button, byKey });
    onOpenChange?.(true);
  };
  const close = () => {
    wanted.current = false;
    setOpened(null);
    onOpenChange?.(false);
  };
  const button = cloneElement(trigger, {
    "aria-haspopup": "menu",
    "aria-expanded": opened !== null,
    "data-state": opened === null ? "closed" : "open",
    onClick: (event) => {
      trigger.props.onClick?.(event);
      // A key presses a button too; then the event has no place on the screen.
      if (opened === null) show(event.currentTarget, event.detail === 0).catch(() => undefined);
      else close();
    },
    onKeyDown: (event) => {
      trigger.props.onKeyDown?.(event);
      if (event.key !== "ArrowDown" || opened !== null) return;
      event.preventDefault();
      show(event.currentTarget, true).catch(() => undefined);
    },
  });
  return (
    <>
      {button}
      {opened !== null && OpenMenu !== null && <OpenMenu {...rest} {...opened} onClose={close} />}
    </>
  );
}
