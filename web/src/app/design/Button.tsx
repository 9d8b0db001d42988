/** Buttons: with words, and with an icon alone. */
import type { ComponentProps, ReactNode } from "react";
import styles from "./button.module.css";
import { classes } from "./classes.ts";
import { Spinner } from "./Status.tsx";

/** What `Button` takes besides a button's own attributes. */
export interface ButtonProps extends ComponentProps<"button"> {
  variant?: "primary" | "quiet" | "danger" | "outline" | undefined;
  size?: "s" | "m" | undefined;
  /** An icon before the words, 16 px. */
  icon?: ReactNode;
  /** While true it shows that it works, and does nothing when pressed. */
  busy?: boolean | undefined;
}

/** A button with words. It never submits a form unless `type="submit"` is given. */
export function Button({ variant = "outline", size = "m", icon, busy, children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      className={classes(styles.button, styles[variant], size === "s" && styles.s, rest.className)}
      disabled={rest.disabled || busy}
      aria-busy={busy || undefined}
    >
      {busy ? <Spinner /> : icon}
      {children}
    </button>
  );
}

/** What `IconButton` takes besides a button's own attributes. */
export interface IconButtonProps extends Omit<ComponentProps<"button">, "children"> {
  /** The accessible name, shown as a tooltip too. */
  label: string;
  /** Keys that do the same, shown in the tooltip. */
  shortcut?: string | undefined;
  /** The icon, 16 to 20 px; `children` does the same. */
  icon?: ReactNode;
  children?: ReactNode;
  /** Given, it is a toggle button. */
  pressed?: boolean | undefined;
  variant?: "quiet" | "primary" | "danger" | undefined;
}

/** A square button with an icon alone; its label is its name and its tooltip. */
export function IconButton({ label, shortcut, icon, children, pressed, variant, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      className={classes(
        styles.icon,
        variant === "primary" && styles.filled,
        variant === "danger" && styles.red,
        rest.className,
      )}
      aria-label={label}
      aria-pressed={pressed}
      data-tip={label}
      data-tip-keys={shortcut}
    >
      {icon ?? children}
    </button>
  );
}
