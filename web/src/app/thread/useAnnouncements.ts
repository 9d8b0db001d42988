/** Says once, politely, when an answer of this thread starts, ends, fails or needs the person; never what it says. */
import { announce } from "@app/design/index.ts";
import type { MessageStatus } from "@app/model/index.ts";
import type { Answer } from "@sdk";
import { useEffect, useRef } from "react";
import { announcement, isLive } from "./statusWords.ts";

/** Answers whose last status is remembered: an answer is announced as long as it may change. */
const FOLLOWED_MAX = 64;

/** Announces the answers in `running`, also their end, by which they leave the list. */
export function useAnnouncements(running: readonly Answer[]): void {
  const followed = useRef(new Map<string, { status: MessageStatus; stop: () => void }>()).current;
  useEffect(() => {
    for (const answer of running) {
      if (followed.has(answer.requestId) || followed.size >= FOLLOWED_MAX) continue;
      // What ran already when the thread was opened is no news.
      const entry = { status: answer.shape.get().status as MessageStatus, stop: () => {} };
      const stop = answer.shape.subscribe(() => {
        const status = answer.shape.get().status;
        const words = announcement(entry.status, status, "");
        entry.status = status;
        if (words) announce(words);
        if (!isLive(status)) {
          stop();
          followed.delete(answer.requestId);
        }
      });
      entry.stop = stop;
      followed.set(answer.requestId, entry);
    }
  }, [running, followed]);
  useEffect(
    () => () => {
      for (const entry of followed.values()) entry.stop();
      followed.clear();
    },
    [followed],
  );
}
