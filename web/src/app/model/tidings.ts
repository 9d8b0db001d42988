/**
 * Says in passing what became of requests that nobody looks at: ready, failed, or in need of the person.
 *
 * Only what was seen to live and then changed is told, in tabs that can be seen, and not of the chat that is looked at. What
 * comes together (after a break of the connection) is told together.
 */
import type { Readable, RequestRow } from "@sdk";
import { kindOf } from "./inbox.ts";
import { isLive } from "./status.ts";
import type { ToastInput } from "./types.ts";

/** How long tidings gather. */
const GATHER_MS = 300;
/** Requests whose last status is remembered. */
const KNOWN_MAX = 1_000;
const TITLE_CHARS = 60;

/** What tidings need of the page. */
export interface TidingsPage {
  readonly visible: Readable<boolean>;
  readonly looking: Readable<string | null>;
  after(run: () => void, waitMs: number): () => void;
  say(toast: ToastInput): void;
  open(path: string): void;
  titleOf(row: RequestRow): string;
}

/** See the module's text. */
export class Tidings {
  readonly #page: TidingsPage;
  readonly #known = new Map<string, string>();
  #gathered = new Map<string, RequestRow>();

  constructor(page: TidingsPage) {
    this.#page = page;
  }

  /** The feed told of a request. */
  requestChanged(row: RequestRow): void {
    const last = this.#known.get(row.request_id);
    this.#known.delete(row.request_id);
    this.#known.set(row.request_id, row.status);
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value as string);
    if (last === undefined || !isLive(last) || last === row.status || kindOf(row) === null) return;
    if (!this.#page.visible.get() || row.deleted) return;
    if (this.#gathered.size === 0) this.#page.after(() => this.#tell(), GATHER_MS);
    this.#gathered.set(row.request_id, row);
  }

  #tell(): void {
    const looking = this.#page.looking.get();
    const rows = [...this.#gathered.values()].filter(
      (row) => row.chat_id === null || row.chat_id !== looking,
    );
    this.#gathered = new Map();
    if (rows.length === 0) return;
    const path = rows.length > 1 || !rows[0]!.chat_id ? "/inbox" : `/c/${rows[0]!.chat_id}`;
    this.#page.say({
      text: rows.length > 1 ? `${rows.length} answers have news` : this.#sentence(rows[0]!),
      action: { label: rows.length > 1 ? "Inbox" : "Open", onSelect: () => this.#page.open(path) },
      tone: rows.some((row) => kindOf(row) === "failed") ? "danger" : "neutral",
    });
  }

  #sentence(row: RequestRow): string {
    const title = this.#page.titleOf(row).slice(0, TITLE_CHARS) || "A request";
    const kind = kindOf(row);
    if (kind === "waiting") return `“${title}” needs you`;
    return kind === "failed" ? `“${title}” failed` : `“${title}” is answered`;
  }
}
