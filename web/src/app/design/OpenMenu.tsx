/** A menu while it is open. It is apart from its button because what it stands on is as large as the rest of the design. */
import * as Dropdown from "@radix-ui/react-dropdown-menu";
import { Check } from "lucide-react";
import { Fragment, useCallback, useEffect, useRef, useState } from "react";
import { classes } from "./classes.ts";
import { useLayer } from "./layer.ts";
import type { MenuItem, MenuProps } from "./Menu.tsx";
import styles from "./menu.module.css";
import { keysLabel } from "./shortcuts.ts";

interface OpenMenuProps extends Omit<MenuProps, "trigger" | "onOpenChange"> {
  /** The button that it hangs on. */
  readonly button: HTMLElement;
  readonly onClose: () => void;
  /** Opened with a key: the first item is where to begin. */
  readonly byKey: boolean;
}

/** Mount it to open it. It asks to be closed, and gives the focus back to the button unless `keepFocus`. */
export function OpenMenu(props: OpenMenuProps) {
  const { items, label, button, onClose, keepFocus, byKey, align = "end", side = "bottom" } = props;
  // In the landmark of its button, so that it is found there and not beside everything.
  const layer = useLayer() ?? button.closest<HTMLElement>("main, aside");
  const place = usePlace(button);
  const chosen = useRef(false);
  const begin = useCallback(
    (content: HTMLDivElement | null) => {
      if (byKey)
        content
          ?.querySelector<HTMLElement>("[aria-checked=true], [role^=menuitem]:not([data-disabled])")
          ?.focus();
    },
    [byKey],
  );
  const lineOf = (item: MenuItem) => ({
    className: classes(styles.item, item.danger && styles.danger),
    disabled: item.disabled ?? false,
    onSelect: () => {
      chosen.current = true;
      item.onSelect();
    },
  });
  return (
    <Dropdown.Root modal={false} open onOpenChange={(open) => open || onClose()}>
      {/* Radix measures its trigger; ours stands in the place of the button, which is not Radix's. */}
      <Dropdown.Trigger asChild>
        <span className={styles.stand} style={place} aria-hidden="true" tabIndex={-1} />
      </Dropdown.Trigger>
      <Dropdown.Portal {...(layer ? { container: layer } : {})}>
        <Dropdown.Content
          ref={begin}
          className={styles.content}
          align={align}
          side={side}
          sideOffset={4}
          collisionPadding={8}
          aria-label={label}
          aria-labelledby={undefined}
          loop
          onInteractOutside={(event) => {
            // The button closes it by itself: were it closed here, the click that follows would open it again.
            if (button.contains(event.target as Node)) event.preventDefault();
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            if (!(keepFocus && chosen.current)) button.focus();
          }}
        >
          {items.some((item) => item.checked !== undefined) ? (
            <Dropdown.RadioGroup value={items.find((item) => item.checked)?.label ?? ""}>
              {items.map((item) => (
                <Dropdown.RadioItem key={item.label} value={item.label} {...lineOf(item)}>
                  <span className={styles.icon}>
                    <Dropdown.ItemIndicator>
                      <Check size={16} aria-hidden="true" />
                    </Dropdown.ItemIndicator>
                  </span>
                  <Words item={item} />
                </Dropdown.RadioItem>
              ))}
            </Dropdown.RadioGroup>
          ) : (
            items.map((item, index) => (
              <Fragment key={item.label}>
                {item.separatorBefore && index > 0 && <Dropdown.Separator className={styles.separator} />}
                <Dropdown.Item {...lineOf(item)}>
                  <span className={styles.icon} aria-hidden="true">
                    {item.icon}
                  </span>
                  <Words item={item} />
                </Dropdown.Item>
              </Fragment>
            ))
          )}
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}

function Words({ item }: { item: MenuItem }) {
  return (
    <>
      <span className={styles.label}>
        {item.label}
        {item.note && <span className={styles.note}>{item.note}</span>}
        {item.detail && <span className={styles.detail}>{item.detail}</span>}
      </span>
      {item.shortcut && (
        <span className={styles.keys} aria-hidden="true">
          {keysLabel(item.shortcut)}
        </span>
      )}
    </>
  );
}

/** Where the button is on the screen, also when what it is in scrolls. */
function usePlace(button: HTMLElement): { left: number; top: number; width: number; height: number } {
  const [place, setPlace] = useState(() => placeOf(button));
  useEffect(() => {
    const look = () => setPlace(placeOf(button));
    window.addEventListener("scroll", look, { capture: true, passive: true });
    window.addEventListener("resize", look);
    return () => {
      window.removeEventListener("scroll", look, { capture: true });
      window.removeEventListener("resize", look);
    };
  }, [button]);
  return place;
}

function placeOf(button: HTMLElement) {
  const { left, top, width, height } = button.getBoundingClientRect();
  return { left, top, width, height };
}
