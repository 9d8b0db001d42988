/** What all of a thread's components share: its actions and where its links lead. */
import type { ThreadActions, ThreadState } from "@app/model/index.ts";
import { createContext, type RefObject, useContext } from "react";
import type { FocusPlace } from "./refocus.ts";

/** One thread on screen. Keeps its identity as long as the thread is the same. */
export interface ThreadScreenContext {
  readonly actions: ThreadActions;
  /** The message that the address named, to be marked. */
  readonly marked?: string | null;
  /** Whether the composer waits for answers: `waiting` of the chat's mode. */
  readonly waits: boolean;
  /** Show the sibling that many steps away, holding what is in view. */
  walk(messageId: string, step: number): void;
  /** Where the focus was when the last walk began, until the list has put it back. */
  readonly focus: RefObject<FocusPlace | null>;
  /** Ask before deleting. */
  askRemoval(messageId: string, role: ThreadState["messages"][number]["role"]): void;
  /** Open the story of a request. */
  showStory(requestId: string): void;
  /** Bring the focus to the composer. */
  focusComposer(): void;
  /** Try to send now what waits: connect at once, or send a refused message again. */
  sendNow(messageId: string): void;
  takeBack(messageId: string): void;
}

/** Filled by `ThreadScreen`. */
export const ScreenContext = createContext<ThreadScreenContext | null>(null);

/** The thread around. Throws outside of one: that would be a mistake in the page. */
export function useThreadScreen(): ThreadScreenContext {
  const screen = useContext(ScreenContext);
  if (!screen) throw new Error("This belongs inside a thread.");
  return screen;
}
