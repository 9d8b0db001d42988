/** The message that an address names: `/c/CHAT?m=MESSAGE` opens the chat at it. */
import { toast } from "@app/design/index.ts";
import type { ThreadState } from "@app/model/index.ts";
import { useEffect, useState } from "react";
import { useLocation, useSearch } from "wouter";

/** Where to begin; another `turn` is another time, also for the same message. */
export interface Target {
  readonly messageId: string;
  readonly turn: number;
}

/**
 * The message to begin at, once its branch is shown and it is loaded; null if the address names none. The name is taken out of
 * the address when it is done: following the same link again goes there again, and a reload stays where the person is.
 */
export function useTarget({ chatId, reveal }: Pick<ThreadState, "chatId" | "reveal">): Target | null {
  const wanted = new URLSearchParams(useSearch()).get("m");
  const [, navigate] = useLocation();
  const [target, setTarget] = useState<Target | null>(null);
  useEffect(() => {
    if (!wanted) return;
    let current = true;
    void reveal(wanted).then((found) => {
      if (!current) return;
      if (found) setTarget((was) => ({ messageId: wanted, turn: (was?.turn ?? 0) + 1 }));
      else toast({ text: "That message could not be found in this chat. It may have been deleted." });
      navigate(`/c/${chatId}`, { replace: true });
    });
    return () => {
      current = false;
    };
  }, [wanted, reveal, chatId, navigate]);
  return target;
}
