/** Finds the place where a thread was left when it is not among the messages that are loaded. */
import type { ThreadState } from "@app/model/index.ts";
import { useEffect, useRef } from "react";
import type { ThreadPlace } from "./useScroller.ts";

/** Pages that are loaded to find the place where the thread was left; beyond it opens at its end. */
const PAGES_TO_PLACE_MAX = 8;

/** Loads older messages until the place is among them: after a reload only the newest page is there. */
export function useLoadUntilPlace(thread: ThreadState, place: ThreadPlace | null): void {
  const pages = useRef(0);
  useEffect(() => {
    if (!isFarPlace(thread, place) || thread.loadingOlder || pages.current >= PAGES_TO_PLACE_MAX) return;
    pages.current += 1;
    thread.loadOlder();
  }, [thread, place]);
}

/** Whether the thread was left at a message that is not loaded yet. */
export function isFarPlace(
  thread: Pick<ThreadState, "messages" | "hasOlder">,
  place: ThreadPlace | null,
): boolean {
  if (place?.follow !== "free" || !thread.hasOlder || thread.messages.length === 0) return false;
  return !place.anchors.some((anchor) => thread.messages.some((message) => message.id === anchor.id));
}
