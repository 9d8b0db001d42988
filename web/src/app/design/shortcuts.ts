/**
 * Keyboard shortcuts: who listens to which keys, and the list that the help shows.
 *
 * One listener on the window serves all. Notation: `mod+k` (Ctrl, or Cmd on a Mac), `shift+alt+x`, `?`, and two keys one after
 * the other, `g i`. A shortcut without `mod` or `alt` never fires while a field has the focus, none fires while a modal dialog is
 * open (unless it says `everywhere`), and the single keys can be switched off (WCAG 2.1.4).
 */
import { useEffect, useRef } from "react";

/** A shortcut as the help lists it. */
export interface Shortcut {
  keys: string;
  description: string;
}

/** When a shortcut holds; all of it may be left out. */
export interface ShortcutOptions {
  /** False: not bound now, and not listed. Default true. */
  enabled?: boolean | undefined;
  /** True: also while a dialog is open. Default false. */
  everywhere?: boolean | undefined;
}

interface Bound extends Shortcut {
  everywhere: boolean;
  run: () => void;
}

/** How long the second key of a sequence may take; people who think about it start over. */
const SEQUENCE_MS = 1200;
const SINGLE_KEYS_OFF = "holdfast.singleKeysOff";

const mac = typeof navigator !== "undefined" && /Mac|iP(hone|ad|od)/.test(navigator.userAgent);
const bound: Bound[] = [];
let listening = false;
let first = "";
let firstAt = 0;

/** The shortcuts bound at this moment, each once, in the order they were bound. */
export function shortcuts(): Shortcut[] {
  const seen = new Map<string, Shortcut>();
  for (const { keys, description } of bound) {
    if (!seen.has(keys)) seen.set(keys, { keys, description });
  }
  return [...seen.values()];
}

/** Whether shortcuts of letters alone are bound; people who dictate switch them off. */
export function singleKeysOn(): boolean {
  try {
    return localStorage.getItem(SINGLE_KEYS_OFF) === null;
  } catch {
    return true;
  }
}

/** Switches the shortcuts of letters alone on or off, for this browser. */
export function setSingleKeys(on: boolean): void {
  try {
    if (on) localStorage.removeItem(SINGLE_KEYS_OFF);
    else localStorage.setItem(SINGLE_KEYS_OFF, "1");
  } catch {
    // Storage is forbidden here: the choice cannot be kept, and the shortcuts stay on.
  }
}

/**
 * Binds keys to `run` while the component is mounted, and lists them in the help under `description`. The latest bound wins.
 */
export function useShortcut(
  keys: string,
  description: string,
  run: () => void,
  options: ShortcutOptions = {},
): void {
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  const { enabled = true, everywhere = false } = options;
  useEffect(() => {
    if (!enabled) return;
    const entry: Bound = { keys, description, everywhere, run: () => latest.current() };
    bound.push(entry);
    if (!listening) {
      listening = true;
      window.addEventListener("keydown", onKey);
    }
    return () => {
      bound.splice(bound.indexOf(entry), 1);
    };
  }, [keys, description, enabled, everywhere]);
}

/** The keys for people: `Ctrl K` or `⌘K`, `G then I`. */
export function keysLabel(keys: string): string {
  return keys.split(" ").map(chordLabel).join(" then ");
}

function chordLabel(chord: string): string {
  const names: Record<string, string> = {
    mod: mac ? "⌘" : "Ctrl",
    shift: mac ? "⇧" : "Shift",
    alt: mac ? "⌥" : "Alt",
    enter: "Enter",
    escape: "Esc",
    backspace: mac ? "⌫" : "Backspace",
    up: "↑",
    down: "↓",
    left: "←",
    right: "→",
    space: "Space",
    end: "End",
  };
  return chord
    .split("+")
    .map((key) => names[key] ?? key.charAt(0).toUpperCase() + key.slice(1))
    .join(mac ? "" : " ");
}

function chordOf(event: KeyboardEvent): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase().replace(/^arrow/, "");
  const mod = mac ? event.metaKey : event.ctrlKey;
  const letter = /^[a-z0-9]$/.test(key) || key.length > 1;
  // A sign such as "?" already says that Shift was down, so only letters and named keys tell Shift.
  return `${mod ? "mod+" : ""}${event.shiftKey && letter ? "shift+" : ""}${event.altKey ? "alt+" : ""}${key}`;
}

/** True where keys are text: a field, an editor. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.getAttribute("contenteditable") === "true") return true;
  if (target instanceof HTMLInputElement) return !/^(checkbox|radio|button|range)$/.test(target.type);
  return /^(TEXTAREA|SELECT)$/.test(target.tagName) || target.getAttribute("role") === "menuitem";
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || /^(Control|Shift|Alt|Meta)$/.test(event.key)) return;
  const chord = chordOf(event);
  const bare = !/^(mod|alt|shift\+mod)\+/.test(chord) && !/^(escape|f\d+)$/.test(chord);
  if (bare && (isTyping(event.target) || !singleKeysOn())) return;
  const modal = document.querySelector("dialog[open]:modal") !== null;
  const sequence = first && event.timeStamp - firstAt < SEQUENCE_MS ? `${first} ${chord}` : "";
  first = "";
  for (let index = bound.length - 1; index >= 0; index -= 1) {
    const entry = bound[index]!;
    if (modal && !entry.everywhere) continue;
    if (entry.keys === chord || entry.keys === sequence) {
      event.preventDefault();
      entry.run();
      return;
    }
  }
  if (bound.some((entry) => entry.keys.startsWith(`${chord} `))) {
    first = chord;
    firstAt = event.timeStamp;
  }
}
