/** The thread's keyboard: walk messages, walk versions, go to the end. */
import { useShortcut } from "@app/design/index.ts";
import { useAui } from "@assistant-ui/react";
import { useThreadScreen } from "./screen.ts";
import type { Scroller } from "./useScroller.ts";

/** Registers the shortcuts; draws nothing. */
export function ThreadKeys({ scroller }: { scroller: Scroller }) {
  const { focusComposer } = useThreadScreen();
  const aui = useAui();
  const walkMessages = (step: -1 | 1) => {
    const content = scroller.content.current;
    if (!content) return;
    const all = [...content.querySelectorAll<HTMLElement>("[data-message-id]")];
    const next = nextFocus(all, focusedMessage(), step);
    if (next) {
      scroller.hold();
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    } else if (step > 0) focusComposer();
  };
  const walkVersions = (position: "previous" | "next") => {
    const id = focusedMessage()?.dataset.messageId;
    if (!id) return;
    const message = aui.thread.message({ id });
    const { branchNumber, branchCount } = message.getState();
    if (position === "previous" ? branchNumber > 1 : branchNumber < branchCount)
      message.switchToBranch({ position });
  };
  useShortcut("alt+up", "Previous message", () => walkMessages(-1));
  useShortcut("alt+down", "Next message", () => walkMessages(1));
  useShortcut("[", "Previous version of the focused message", () => walkVersions("previous"));
  useShortcut("]", "Next version of the focused message", () => walkVersions("next"));
  useShortcut("alt+end", "Go to the newest message", () => scroller.toLatest({ smooth: false }));
  return null;
}

function focusedMessage(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>("[data-message-id]") ?? null;
}

/** The element to focus next: one further from the focused one; without one, the last, which is what was just read. */
function nextFocus<T>(all: readonly T[], focused: T | null, step: -1 | 1): T | null {
  const at = focused === null ? -1 : all.indexOf(focused);
  if (at < 0) return step < 0 ? (all.at(-1) ?? null) : null;
  return all[at + step] ?? (step < 0 ? (all[0] ?? null) : null);
}
