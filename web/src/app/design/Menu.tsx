/** A menu that opens from a button, with the keyboard behaviour menus have. */
import * as Dropdown from "@radix-ui/react-dropdown-menu";
import { Fragment, type ReactElement, type ReactNode } from "react";
import { classes } from "./classes.ts";
import { useLayer } from "./layer.ts";
import styles from "./menu.module.css";
import { keysLabel } from "./shortcuts.ts";

/** One line of a menu. */
export interface MenuItem {
  label: string;
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
  /** The button that opens it; it must pass its props and ref on to a DOM button. */
  trigger: ReactElement;
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

/**
 * A menu. Not modal: the page behind stays as it is. Choosing an item closes it and gives the focus back to the trigger,
 * unless `keepFocus` says that the chosen item moves the focus itself.
 */
export function Menu({ trigger, items, label, align = "end", side = "bottom", ...rest }: MenuProps) {
  const layer = useLayer();
  const opened = rest.onOpenChange ? { onOpenChange: rest.onOpenChange } : {};
  return (
    <Dropdown.Root modal={false} {...opened}>
      <Dropdown.Trigger asChild>{trigger}</Dropdown.Trigger>
      <Dropdown.Portal {...(layer ? { container: layer } : {})}>
        <Dropdown.Content
          className={styles.content}
          align={align}
          side={side}
          sideOffset={4}
          collisionPadding={8}
          aria-label={label}
          loop
          onCloseAutoFocus={(event) => rest.keepFocus && event.preventDefault()}
        >
          {items.map((item, index) => (
            <Fragment key={item.label}>
              {item.separatorBefore && index > 0 && <Dropdown.Separator className={styles.separator} />}
              <Dropdown.Item
                className={classes(styles.item, item.danger && styles.danger)}
                disabled={item.disabled ?? false}
                onSelect={item.onSelect}
              >
                <span className={styles.icon} aria-hidden="true">
                  {item.icon}
                </span>
                <span className={styles.label}>{item.label}</span>
                {item.shortcut && (
                  <span className={styles.keys} aria-hidden="true">
                    {keysLabel(item.shortcut)}
                  </span>
                )}
              </Dropdown.Item>
            </Fragment>
          ))}
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}
