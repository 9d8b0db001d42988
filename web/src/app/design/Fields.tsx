/** What people set: fields, switches, a choice of few; and how keys are shown. */
import { type ComponentProps, cloneElement, type ReactElement, type ReactNode, useId } from "react";
import { classes } from "./classes.ts";
import styles from "./fields.module.css";
import { keysLabel } from "./shortcuts.ts";

/** One choice of a `Segmented`. */
export interface SegmentedOption<T extends string> {
  value: T;
  label: string;
  icon?: ReactNode;
  disabled?: boolean | undefined;
  /** A tooltip that says more. */
  hint?: string | undefined;
}

/** What `Segmented` takes. */
export interface SegmentedProps<T extends string> {
  label: string;
  value: T;
  options: readonly SegmentedOption<T>[];
  onChange: (value: T) => void;
  /** Icons alone are shown; the labels stay for screen readers and tooltips. */
  iconsOnly?: boolean | undefined;
}

/** One of few, side by side; arrow keys move, as with every radio group. */
export function Segmented<T extends string>({
  label,
  value,
  options,
  onChange,
  iconsOnly,
}: SegmentedProps<T>) {
  const name = useId();
  return (
    <div className={styles.segmented} role="radiogroup" aria-label={label}>
      {options.map((option) => (
        <label
          key={option.value}
          className={classes(styles.segment, option.value === value && styles.chosen)}
          data-tip={option.hint ?? (iconsOnly ? option.label : undefined)}
        >
          <input
            type="radio"
            className="visually-hidden"
            name={name}
            value={option.value}
            checked={option.value === value}
            disabled={option.disabled}
            onChange={() => onChange(option.value)}
          />
          {option.icon}
          <span className={iconsOnly ? "visually-hidden" : undefined}>{option.label}</span>
        </label>
      ))}
    </div>
  );
}

/** What `Switch` takes. */
export interface SwitchProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  hint?: ReactNode;
  disabled?: boolean | undefined;
}

/** On or off, with its words beside it. */
export function Switch({ label, checked, onChange, hint, disabled }: SwitchProps) {
  const id = useId();
  return (
    <div className={styles.row}>
      <span className={styles.words}>
        <label className={styles.label} htmlFor={id}>
          {label}
        </label>
        {hint && (
          <span className={styles.hint} id={`${id}-hint`}>
            {hint}
          </span>
        )}
      </span>
      <button
        id={id}
        type="button"
        role="switch"
        className={styles.switch}
        aria-checked={checked}
        aria-describedby={hint ? `${id}-hint` : undefined}
        disabled={disabled}
        onClick={() => onChange(!checked)}
      >
        <span className={styles.knob} />
      </button>
    </div>
  );
}

/** What `Field` takes. */
export interface FieldProps {
  label: string;
  hint?: ReactNode;
  /** What is wrong and what to do; "" or absent when nothing is. */
  error?: string | undefined;
  /** One form control; it gets its id and descriptions from here. */
  children: ReactElement;
  /** The label is for screen readers only. */
  hideLabel?: boolean | undefined;
}

/** A form control with its label, a hint and what is wrong with it. */
export function Field({ label, hint, error, children, hideLabel }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const extra: Record<string, unknown> = {
    id,
    "aria-describedby": described || undefined,
    "aria-invalid": error ? true : undefined,
  };
  return (
    <div className={styles.field}>
      <label className={hideLabel ? "visually-hidden" : styles.label} htmlFor={id}>
        {label}
      </label>
      {cloneElement(children, extra)}
      {error && (
        <p className={styles.error} id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
      {hint && (
        <p className={styles.hint} id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** A line of text to type into, in the page's look. */
export function TextInput(props: ComponentProps<"input">) {
  return <input type="text" {...props} className={classes(styles.input, props.className)} />;
}

/** Keys, in the notation of `useShortcut`, as people read them. */
export function Kbd({ keys }: { keys: string }) {
  return <kbd className={styles.kbd}>{keysLabel(keys)}</kbd>;
}
