/**
 * Which chat the screen shows while its address changes from "new" to the chat's own.
 *
 * A new chat has an id before its first message, so that the screen need not be made again when the address gets it.
 */
import { useState } from "react";

interface Identity {
  readonly route: string | null;
  /** The id for the next new chat. */
  readonly minted: string;
  /** Whether the minted id has become the address of a chat. */
  readonly used: boolean;
}

/** What follows when the address changes to `route`; a new id is made only once the last one was used. */
export function nextIdentity(was: Identity, route: string | null, mint: () => string): Identity {
  if (was.route === route) return was;
  const used = was.used || route === was.minted;
  if (route === null && used) return { route, minted: mint(), used: false };
  return { route, minted: was.minted, used };
}

/** The id of the chat to show: the address's, or that of the chat which the first message will make. */
export function useChatIdentity(route: string | null, mint: () => string): string {
  const [identity, setIdentity] = useState<Identity>(() => ({ route, minted: mint(), used: false }));
  const next = nextIdentity(identity, route, mint);
  if (next !== identity) setIdentity(next);
  return route ?? next.minted;
}
