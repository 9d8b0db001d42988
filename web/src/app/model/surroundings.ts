/** What the model needs of the page around it: storage, visibility, other tabs, the clock; so that stores run without a DOM. */
import type { Readable } from "@sdk";
import { Cell } from "./cell.ts";

/** A store of short strings; localStorage and sessionStorage are two. Writing may throw when it is full. */
export interface TextStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** A line to the other tabs of this page. What is sent does not come back to the sender. */
export interface TabLine {
  send(message: unknown): void;
  listen(listener: (message: unknown) => void): () => void;
}

/** The page around the model. */
export interface Surroundings {
  readonly local: TextStorage;
  readonly session: TextStorage;
  /** The document can be seen. */
  readonly visible: Readable<boolean>;
  /** The system asks for less motion. */
  readonly lessMotion: Readable<boolean>;
  /** Another tab changed `key` in `local`. */
  onLocalChange(listener: (key: string | null) => void): () => void;
  /** The page may be going away: write what is not written. */
  onLeaving(listener: () => void): () => void;
  line(name: string): TabLine;
  after(run: () => void, waitMs: number): () => void;
  /** Go to an address of the page. */
  open(path: string): void;
  /** Begin anew, with nothing in memory. */
  reload(): void;
}

/** Strings in memory: where the browser refuses storage (private windows, blocked cookies), and in tests. */
export function memoryStorage(): TextStorage {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

/** The browser's own. `open` is how the page's router goes to an address. */
export function browserSurroundings(open: (path: string) => void): Surroundings {
  return {
    local: storageOf(() => window.localStorage),
    session: storageOf(() => window.sessionStorage),
    visible: visibility(),
    lessMotion: mediaQuery("(prefers-reduced-motion: reduce)"),
    onLocalChange: (listener) => {
      const heard = (event: StorageEvent) => listener(event.key);
      window.addEventListener("storage", heard);
      return () => window.removeEventListener("storage", heard);
    },
    onLeaving: (listener) => {
      const hidden = () => {
        if (document.visibilityState === "hidden") listener();
      };
      window.addEventListener("pagehide", listener);
      document.addEventListener("visibilitychange", hidden);
      return () => {
        window.removeEventListener("pagehide", listener);
        document.removeEventListener("visibilitychange", hidden);
      };
    },
    line: broadcastLine,
    after: (run, waitMs) => {
      const timer = setTimeout(run, waitMs);
      return () => clearTimeout(timer);
    },
    open,
    reload: () => location.reload(),
  };
}

function storageOf(storage: () => Storage): TextStorage {
  try {
    const found = storage();
    found.getItem("");
    return found;
  } catch {
    return memoryStorage(); // storage that is blocked throws already when it is looked at
  }
}

function visibility(): Readable<boolean> {
  return {
    get: () => document.visibilityState !== "hidden",
    subscribe: (listener) => {
      document.addEventListener("visibilitychange", listener);
      return () => document.removeEventListener("visibilitychange", listener);
    },
  };
}

function mediaQuery(query: string): Readable<boolean> {
  if (typeof window.matchMedia !== "function") return new Cell(false);
  const list = window.matchMedia(query);
  return {
    get: () => list.matches,
    subscribe: (listener) => {
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
  };
}

/** A BroadcastChannel; without one tabs simply do not hear of each other. */
function broadcastLine(name: string): TabLine {
  const channel = channelOf(name);
  if (!channel) return { send: () => {}, listen: () => () => {} };
  return {
    send: (message) => channel.postMessage(message),
    listen: (listener) => {
      const heard = (event: MessageEvent<unknown>) => listener(event.data);
      channel.addEventListener("message", heard);
      return () => channel.removeEventListener("message", heard);
    },
  };
}

/** Some browsers that block storage refuse a channel by throwing. */
function channelOf(name: string): BroadcastChannel | null {
  try {
    return typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(name);
  } catch {
    return null;
  }
}

/** Read JSON from storage as an object of named values; anything else counts as empty. */
export function readRecord(storage: TextStorage, key: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(storage.getItem(key) ?? "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

/** Write JSON to storage. A full or blocked storage keeps the old value: what is kept there can be done without. */
export function writeRecord(storage: TextStorage, key: string, value: object): void {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    // see above
  }
}
