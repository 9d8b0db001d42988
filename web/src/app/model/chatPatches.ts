/**
 * Changes of chats that the person made and the server has not confirmed: laid over the rows, so that they show at once.
 *
 * A patch stays until the rows themselves have what it says: until the version that the server answered with is here. If
 * the server refuses, it goes, and the rows show what holds.
 */
import type { ChatRow } from "@sdk";

/** What a patch says. `seenAt` only ever rises. */
export interface ChatPatch {
  readonly title?: string;
  readonly agent?: string;
  readonly archived?: boolean;
  readonly deleted?: boolean;
  readonly seenAt?: number;
}

interface Laid {
  readonly patch: ChatPatch;
  /** The row's version from which the patch is in the row; null while that is not known. */
  until: number | null;
}

/** Unconfirmed changes of one chat; a person makes a few, and offline some more. Beyond it the oldest are confirmed unseen. */
const PATCHES_MAX = 50;

/** See the module's text. */
export class ChatPatches {
  readonly #laid = new Map<string, Laid[]>();

  lay(chatId: string, patch: ChatPatch): { confirm(version: number | null): void; take(): void } {
    const laid: Laid = { patch, until: null };
    const all = this.#laid.get(chatId) ?? [];
    this.#laid.set(chatId, [...all, laid].slice(-PATCHES_MAX));
    const take = () => {
      const rest = (this.#laid.get(chatId) ?? []).filter((each) => each !== laid);
      if (rest.length > 0) this.#laid.set(chatId, rest);
      else this.#laid.delete(chatId);
    };
    return {
      confirm: (version) => {
        if (version === null) take();
        else laid.until = version;
      },
      take,
    };
  }

  /** The row with what the person changed. */
  over(row: ChatRow): ChatRow {
    const all = this.#laid.get(row.chat_id);
    if (!all) return row;
    const rest = all.filter((laid) => laid.until === null || laid.until > row.version);
    if (rest.length === 0) this.#laid.delete(row.chat_id);
    else if (rest.length < all.length) this.#laid.set(row.chat_id, rest);
    let shown = row;
    for (const { patch } of rest) {
      const { seenAt, ...fields } = patch;
      shown = { ...shown, ...fields, seen_at: Math.max(shown.seen_at, seenAt ?? 0) };
    }
    return shown;
  }
}
