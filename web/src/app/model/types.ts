/** What the model promises to components: the shapes of chats, threads, inbox, activity and preferences. */
import type { Answer, HitRow, Part, Status, Transcript } from "@sdk";

/** What a chat's line in the sidebar shows at a glance; the first that holds: waiting, running, unsent, failed, unread. */
export type ChatBadge = "running" | "waiting" | "failed" | "unread" | "unsent" | null;

/** One chat in a list. The object stays the same until something of it changes. */
export interface ChatItem {
  readonly chatId: string;
  /** "" if it has none yet. */
  readonly title: string;
  readonly agent: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Up to when the person has read it, on any device. */
  readonly seenAt: number;
  readonly badge: ChatBadge;
  /** Requests of this chat that are queued, running or waiting. */
  readonly running: number;
  readonly waiting: number;
  readonly unread: boolean;
  readonly archived: boolean;
  /** Something was typed here and not sent. */
  readonly draft: boolean;
}

/** A list of chats, newest first. */
export interface ChatList {
  readonly rows: readonly ChatItem[];
  /** The first page has not come yet. */
  readonly loading: boolean;
  readonly hasMore: boolean;
  /** Load the next page; harmless while one is on its way. */
  readonly more: () => void;
}

/** The status of a message: that of its request, or `unsent` while it is only in the outbox. */
export type MessageStatus = Status | "unsent";

/** One message of the visible branch. The object stays the same until something of it changes; deltas never change it. */
export interface ThreadMessage {
  readonly id: string;
  readonly parentId: string | null;
  readonly role: "user" | "assistant";
  readonly createdAt: number;
  /** Which of the messages under one parent this is; `index` counts from 0. */
  readonly siblings: { readonly index: number; readonly count: number };
  /** What the person wrote; "" for answers. */
  readonly text: string;
  /** The answer to follow: of one that runs, is unsent, or ended while this thread was on screen. */
  readonly answer: Answer | null;
  /** A finished answer, from the history; null while only `answer` has it. */
  readonly parts: readonly Part[] | null;
  /** How a finished answer of the history went; null while `answer` says it. */
  readonly told: Transcript | null;
  /** Of a person's message: null, or `unsent`. */
  readonly status: MessageStatus | null;
  readonly unsent: boolean;
  /** Why the server refused to take it, in a sentence for people; "" if it did not. */
  readonly refusal: string;
  /** What is stored is not what was written; what is left of it is shown. */
  readonly damaged: boolean;
}

/** A chat's visible branch and what can be done with it. */
export interface ThreadState {
  readonly chatId: string;
  /** Nothing is known yet. */
  readonly loading: boolean;
  /** Why the messages could not be loaded, for people; "" when fine. */
  readonly error: string;
  /** There is no such chat. */
  readonly missing: boolean;
  /** Root first. The array stays the same until a message of it changes. */
  readonly messages: readonly ThreadMessage[];
  /** The last message of the visible branch. */
  readonly head: string | null;
  readonly hasOlder: boolean;
  readonly loadingOlder: boolean;
  /** Answers of this chat without an outcome, in any branch, unsent ones too; oldest first. */
  readonly running: readonly Answer[];
  /** The agent that this chat's next message goes to; null: the server's default. */
  readonly agent: string | null;
  readonly title: string;
  readonly loadOlder: () => void;
  /** Show the sibling before (-1) or after (1) this message. */
  readonly branch: (messageId: string, step: -1 | 1) => void;
  /** Show the branch that this message is on, loading what is older until it is there. False if there is no such message. */
  readonly reveal: (messageId: string) => Promise<boolean>;
  /** Try again after `error`. */
  readonly reload: () => void;
}

/** sync: the composer waits for the answer. async: it is free at once, and the answer comes when it comes. */
export type Mode = "async" | "sync";

/** How a message is sent. */
export interface SendOptions {
  readonly agent?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Remembered for the chat. */
  readonly mode?: Mode;
}

/** What can be done in one chat. */
export interface ThreadActions {
  /** Ask under the visible branch's last message; durable in this browser at once. Clears the draft. */
  send(text: string, options?: SendOptions): Answer;
  /** Ask again with other words: a sibling of that message; other first words of a chat begin a new chat. Null if the
   * message is not known. */
  edit(messageId: string, text: string): Answer | null;
  /** Answer the same question once more: a sibling of that answer. Null if the answer is not known. */
  regenerate(answerId: string, options?: SendOptions): Answer | null;
  /** Send a refused message again, or regenerate an answer that went wrong. */
  retry(answerId: string): Answer | null;
  /** End it; what was not sent yet goes back into the composer. What goes wrong is told by a toast. */
  stop(answerId: string): Promise<void>;
  /** Answer what a request waits for. Rejects with the SDK's CommandError. */
  decide(answerId: string, waitId: string, digest: string, decision: unknown): Promise<void>;
  /** Delete a message and all under it; gone at once, back if the server refuses. */
  removeMessage(messageId: string): Promise<void>;
  /** Take an unsent message back into the composer. False if it is too late. */
  takeBack(messageId: string): Promise<boolean>;
  /** Add the text as a quotation to the draft. */
  quote(text: string): void;
}

/** What can be done with chats. Changes show at once; if the server refuses they are taken back and a toast says why. */
export interface ChatActions {
  rename(chatId: string, title: string): Promise<void>;
  archive(chatId: string, on: boolean): Promise<void>;
  /** Delete it; a toast offers undo for UNDO_MS. */
  remove(chatId: string): Promise<void>;
  restore(chatId: string): Promise<void>;
  /** The person has read it up to now. */
  markSeen(chatId: string): void;
  /** An id for a chat that does not exist until its first message is sent. */
  newChatId(): string;
  setAgent(chatId: string, agent: string): void;
}

/** One entry of the inbox. */
export interface InboxItem {
  readonly requestId: string;
  readonly chatId: string | null;
  readonly kind: "done" | "failed" | "waiting";
  /** The chat's title, else the first line of what was asked. */
  readonly title: string;
  /** What was asked, its first line. */
  readonly question: string;
  readonly agent: string;
  readonly at: number;
  /** Why it failed, for people. */
  readonly reason: string;
  readonly seen: boolean;
}

/** What finished, failed or needs the person, newest first. */
export interface Inbox {
  readonly items: readonly InboxItem[];
  readonly unseen: number;
  readonly loading: boolean;
  readonly markAllSeen: () => void;
}

/** The state of a search. */
export interface SearchState {
  readonly state: "idle" | "loading" | "done" | "error";
  readonly hits: readonly HitRow[];
  /** Why it failed, for people. */
  readonly error: string;
}

/** Where a thread is scrolled to, unless the thread has a shape of its own for that. */
export interface ScrollPosition {
  readonly anchor: string | null;
  readonly offset: number;
  readonly atEnd: boolean;
}

/** A chat's place, kept while this tab lives (also over a reload). */
export interface ScrollMemory<Place = ScrollPosition> {
  get(): Place | null;
  set(position: Place): void;
}

export type Theme = "system" | "light" | "dark";
export type Density = "comfortable" | "compact";
export type Motion = "system" | "reduced" | "full";

/** What a person chose in this browser. */
export interface PreferenceValues {
  readonly theme: Theme;
  /** For chats in which no mode was chosen. */
  readonly mode: Mode;
  /** Enter sends, Shift+Enter breaks the line; otherwise Ctrl+Enter sends. */
  readonly enterSends: boolean;
  readonly density: Density;
  readonly motion: Motion;
  /** Reasoning is unfolded from the start. */
  readonly showReasoning: boolean;
  readonly sidebarOpen: boolean;
}

/** The values, and how to change them. Other tabs follow. */
export interface Preferences extends PreferenceValues {
  /** As it is now, the system's wish included. */
  readonly reducedMotion: boolean;
  readonly setTheme: (theme: Theme) => void;
  readonly setMode: (mode: Mode) => void;
  readonly set: (change: Partial<PreferenceValues>) => void;
}

/** What the model says to the person in passing. */
export interface ToastInput {
  readonly text: string;
  readonly action?: { readonly label: string; readonly onSelect: () => void };
  readonly tone?: "neutral" | "ok" | "danger";
}
