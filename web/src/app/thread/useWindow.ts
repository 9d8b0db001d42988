/** The part of a thread that the runtime is told about, following what is mounted. */
import type { ThreadMessage } from "@app/model/index.ts";
import { useCallback, useMemo, useRef, useState } from "react";
import { windowAround, windowIndexes } from "./runtimeWindow.ts";

/** What is mounted, by id: indexes shift when older messages are loaded. */
interface Mounted {
  readonly first: string;
  readonly last: string;
}

/** The indexes for the runtime; `onRange` and `onEditing` tell where the list is and what is being edited. */
export function useWindow(messages: readonly ThreadMessage[], anchorId: string | null) {
  const [mounted, setMounted] = useState<Mounted>(() => {
    const start = anchorId ?? messages.at(-1)?.id ?? "";
    return { first: start, last: start };
  });
  const [editing, setEditing] = useState("");
  const latest = useRef(messages);
  latest.current = messages;

  const places = useMemo(() => new Map(messages.map((message, index) => [message.id, index])), [messages]);
  const end = messages.length - 1;
  const span = windowAround(
    messages.length,
    places.get(mounted.first) ?? end,
    places.get(mounted.last) ?? end,
  );
  const pinned = places.get(editing) ?? -1;
  const indexes = useMemo(
    () => windowIndexes(messages.length, { from: span.from, to: span.to }, [pinned]),
    [messages.length, span.from, span.to, pinned],
  );

  const onRange = useCallback((first: number, last: number) => {
    const all = latest.current;
    const next = { first: all[first]?.id ?? "", last: all[last]?.id ?? "" };
    setMounted((was) => {
      if (was.first === next.first && was.last === next.last) return was;
      // Within the same chunks nothing would change: the screen above need not be drawn again.
      const at = (id: string) => all.findIndex((message) => message.id === id);
      const before = windowAround(all.length, at(was.first), at(was.last));
      const after = windowAround(all.length, first, last);
      return before.from === after.from && before.to === after.to ? was : next;
    });
  }, []);
  return { indexes, onRange, onEditing: setEditing };
}
