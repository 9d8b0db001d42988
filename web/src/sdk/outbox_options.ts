/** What an outbox stands on, and whom it tells. */
import type { OutboxStore } from "./outbox_store.ts";
import type { OutboxEntry } from "./state.ts";
import type { Timers } from "./surroundings.ts";
import type { SubmittedReply } from "./wire.gen.ts";

export interface OutboxOptions {
  readonly store: OutboxStore;
  /** Who is here, as far as is known. */
  readonly owner: string | null;
  readonly now: () => number;
  readonly random: () => number;
  readonly timers: Timers;
  /** Whether submits go out at once. */
  readonly ready: () => boolean;
  /** Send a submit. Throws CommandError if it cannot even be tried. */
  readonly send: (entry: OutboxEntry) => void;
  /** An entry changed, came or went; without an id: whether entries outlive the page did. */
  readonly changed: (requestId: string | null) => void;
  /** It was accepted; without a reply: another tab saw to it. */
  readonly accepted: (requestId: string, reply: SubmittedReply | null) => void;
  /** It will not be sent, because somebody took it back. */
  readonly withdrawn: (requestId: string) => void;
  /** End it at the server, should that have it. Rejects with CommandError. */
  readonly cancel: (requestId: string) => Promise<unknown>;
}
