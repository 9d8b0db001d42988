/** What the client takes from where it runs: clock, timers, dice, and word of the network and of waking up. */

/** Timers, so that tests can have their own. */
export interface Timers {
  set(run: () => void, waitMs: number): unknown;
  clear(timer: unknown): void;
}

/** The platform's own timers. */
export const platformTimers: Timers = {
  set: (run, waitMs) => setTimeout(run, waitMs),
  clear: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** Word of the network and of the page being looked at again. */
export interface Surroundings {
  /** Whether there is no network at all, as far as the platform knows. */
  offline(): boolean;
  /** Be told when the network came, when it went, and when the page is shown again, until the returned function is called. */
  listen(told: { online(): void; offline(): void; shown(): void }): () => void;
}

/** The browser's, where there is one; elsewhere the network is taken to be there, and nothing is ever told. */
export const platformSurroundings: Surroundings = {
  offline: () => typeof navigator !== "undefined" && navigator.onLine === false,
  listen({ online, offline, shown }) {
    const { window: page, document: screen } = globalThis;
    if (typeof page === "undefined" || typeof screen === "undefined") return () => {};
    const seen = () => {
      if (screen.visibilityState === "visible") shown();
    };
    page.addEventListener("online", online);
    page.addEventListener("offline", offline);
    page.addEventListener("pageshow", shown);
    screen.addEventListener("resume", shown); // thawed after it was frozen, seen or not
    screen.addEventListener("visibilitychange", seen);
    return () => {
      page.removeEventListener("online", online);
      page.removeEventListener("offline", offline);
      page.removeEventListener("pageshow", shown);
      screen.removeEventListener("resume", shown);
      screen.removeEventListener("visibilitychange", seen);
    };
  },
};

/** The WebSocket address for what people write: nothing (this page's own server), a path, `http(s)://…` or `ws(s)://…`; a missing
 * path is /ws. Throws a TypeError if it is no address. */
export function websocketUrl(given: string | undefined): string {
  const base = typeof location === "undefined" ? undefined : location.href;
  const url = new URL(given ?? "/ws", base);
  url.protocol = url.protocol.replace("http", "ws");
  if (!/^wss?:$/.test(url.protocol)) throw new TypeError(`${given} is not the address of a WebSocket.`);
  if (url.pathname === "/") url.pathname = "/ws";
  url.hash = "";
  return url.href;
}

/** A fresh UUID, version 7: it sorts by the time at which it was made. */
export function newId(nowMs: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let index = 0; index < 6; index++) bytes[index] = Math.floor(nowMs / 256 ** (5 - index)) & 0xff;
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
