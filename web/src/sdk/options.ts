/** What a client can be told when it is made, and with each call. */
import type { OutboxStore } from "./outbox_store.ts";
import type { Batch } from "./readable.ts";
import type { Surroundings, Timers } from "./surroundings.ts";

export interface ClientOptions {
  /** Where the server is: `ws(s)://`, `http(s)://` or a path; by default this page's own server at /ws. */
  readonly url?: string | undefined;
  readonly token?: string | null | undefined;
  /** Who was here last with this token (`ConnectionState.user`), where the caller remembers that: what they left unsent is
   * then shown before there is a connection. Without it that waits for the first welcome. */
  readonly user?: string | undefined;
  /** What the client calls itself, for whoever looks at the server. */
  readonly name?: string | undefined;
  /** Where submits are kept until they are accepted; by default in memory. */
  readonly outbox?: OutboxStore | undefined;
  readonly WebSocket?: typeof WebSocket | undefined;
  /** How notifications are gathered; by default readers are told once per turn of the event loop. */
  readonly batch?: Batch | undefined;
  readonly random?: (() => number) | undefined;
  readonly now?: (() => number) | undefined;
  readonly timers?: Timers | undefined;
  readonly surroundings?: Surroundings | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}
