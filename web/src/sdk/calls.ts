/** Commands and whoever waits for their replies. */
import type { Connection } from "./connection.ts";
import { CommandError } from "./errors.ts";
import type { CallOptions } from "./options.ts";
import type { Session } from "./session.ts";
import type { Timers } from "./surroundings.ts";
import type { CommandType, FieldsOf, Reply, ReplyOf } from "./wire.gen.ts";

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

export class Calls {
  readonly #session: Session;
  readonly #connection: Pick<Connection, "flush">;
  readonly #timers: Timers;
  readonly #waiting = new Map<number, Waiting>();
  #closed = false;

  constructor(session: Session, connection: Pick<Connection, "flush">, timers: Timers) {
    this.#session = session;
    this.#connection = connection;
    this.#timers = timers;
  }

  call<K extends CommandType>(type: K, fields: FieldsOf<K>, options: CallOptions): Promise<ReplyOf<K>> {
    const { signal, timeoutMs } = options;
    return new Promise<Reply>((resolve, reject) => {
      if (this.#closed) throw closed();
      signal?.throwIfAborted();
      const ref = this.#session.call(type, fields);
      let timer: unknown = null;
      const settled = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          this.#waiting.delete(ref);
          this.#timers.clear(timer);
          signal?.removeEventListener("abort", aborted);
          settle(value);
        };
      };
      const give = settled(reject);
      const aborted = () => {
        this.#session.forget(ref);
        give(signal?.reason);
      };
      signal?.addEventListener("abort", aborted);
      if (timeoutMs !== undefined) {
        timer = this.#timers.set(() => {
          this.#session.forget(ref);
          give(new CommandError("timeout", "The server did not answer in time; try again.", true));
        }, timeoutMs);
      }
      this.#waiting.set(ref, { resolve: settled(resolve), reject: give });
      this.#connection.flush();
    }) as Promise<ReplyOf<K>>;
  }

  replied(ref: number, reply: Reply): void {
    const waiting = this.#waiting.get(ref);
    if (!waiting) return;
    if (reply.type !== "error") waiting.resolve(reply);
    else waiting.reject(new CommandError(reply.code, reply.message, reply.retryable, reply.retry_after_ms));
  }

  /** Nobody will be answered any more. */
  close(): void {
    this.#closed = true;
    this.drop(closed());
  }

  /** Nobody who waits now will be answered. */
  drop(error: CommandError): void {
    for (const { reject } of [...this.#waiting.values()]) reject(error);
  }
}

function closed(): CommandError {
  return new CommandError("closed", "The client was closed.");
}
