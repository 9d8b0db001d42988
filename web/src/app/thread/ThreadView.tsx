/** The screen of one chat, made once per chat: joins model, runtime, scroll position and composer. */
import {
  chatActions,
  type ThreadState,
  threadActions,
  useChatMode,
  useClient,
  useDraft,
  useScrollMemory,
} from "@app/model/index.ts";
import { AssistantRuntimeProvider, ThreadPrimitive } from "@assistant-ui/react";
import { useCallback, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { Composer } from "./Composer.tsx";
import { useLoadUntilPlace } from "./place.ts";
import { RemovalDialog } from "./RemovalDialog.tsx";
import { type FocusPlace, focusIn } from "./refocus.ts";
import { SelectionQuote } from "./SelectionQuote.tsx";
import { ScreenContext, type ThreadScreenContext } from "./screen.ts";
import { isLive } from "./statusWords.ts";
import { ThreadBody } from "./ThreadBody.tsx";
import { ThreadHeader } from "./ThreadHeader.tsx";
import { ThreadKeys } from "./ThreadKeys.tsx";
import styles from "./thread.module.css";
import { useAnnouncements } from "./useAnnouncements.ts";
import { type ThreadPlace, useScroller } from "./useScroller.ts";
import { type RuntimeIntents, useThreadRuntime } from "./useThreadRuntime.ts";
import { useWindow } from "./useWindow.ts";

/** The draft of the chat that does not exist yet: one, whatever id it will get. */
const NEW_DRAFT = "new";

/** What is asked before it is deleted. */
export interface Removal {
  readonly messageId: string;
  readonly role: "user" | "assistant";
}

/** How far below the top the message stands at which a thread begins: what was before it can be seen. */
const TARGET_OFFSET_PX = 64;

/** The chat of `thread`; `isNew` as long as nothing was sent in it. It begins at `target`, else where it was left. */
export function ThreadView(props: { thread: ThreadState; isNew: boolean; target?: string | null }) {
  const { thread, isNew, target = null } = props;
  const { chatId, messages, running } = thread;
  const client = useClient();
  const actions = useMemo(() => threadActions(chatId), [chatId]);
  const [, navigate] = useLocation();
  const [mode, setMode] = useChatMode(chatId);
  const [, setNewDraft] = useDraft(NEW_DRAFT);
  // Chosen before the chat exists: there is nothing to save it in until the first message goes out.
  const [firstAgent, setFirstAgent] = useState<string | null>(null);
  const [removal, setRemoval] = useState<Removal | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const focus = useRef<FocusPlace | null>(null);

  const memory = useScrollMemory<ThreadPlace>(chatId);
  const [place] = useState<ThreadPlace | null>(() =>
    target === null ? memory.get() : { follow: "free", anchors: [{ id: target, offset: TARGET_OFFSET_PX }] },
  );
  const state = useRef({ thread, isNew, firstAgent, mode });
  state.current = { thread, isNew, firstAgent, mode };
  const scroller = useScroller({
    place,
    onPlace: (next) => memory.set(next),
    onNearTop: () => {
      if (thread.hasOlder && !thread.loadingOlder) thread.loadOlder();
    },
    live: () => state.current.thread.running.length > 0,
  });
  const { hold, toLatest } = scroller;

  const intents = useMemo<RuntimeIntents>(
    () => ({
      send(text) {
        const now = state.current;
        const agent = now.isNew ? now.firstAgent : null;
        actions.send(text, { mode: now.mode, ...(agent ? { agent } : {}) });
        if (now.isNew) {
          setNewDraft("");
          navigate(`/c/${chatId}`, { replace: true });
        }
        toLatest();
      },
      edit(messageId, text) {
        actions.edit(messageId, text);
        toLatest();
      },
      regenerate(answerId) {
        actions.regenerate(answerId);
      },
      walk(messageId, step) {
        // What is above the message stays where it is, also for someone who was at the end.
        hold();
        focus.current = focusIn(
          messageId,
          state.current.thread.messages.findIndex((message) => message.id === messageId),
        );
        const one = step < 0 ? -1 : 1;
        for (let left = Math.abs(step); left > 0; left -= 1) state.current.thread.branch(messageId, one);
      },
      stop() {
        const tail = state.current.thread.messages.at(-1);
        const id =
          tail?.role === "assistant" && isLive(tail.status)
            ? tail.id
            : state.current.thread.running.at(-1)?.requestId;
        if (id) void actions.stop(id);
      },
      remove(messageId) {
        void actions.removeMessage(messageId);
      },
    }),
    [actions, chatId, hold, navigate, setNewDraft, toLatest],
  );

  const screen = useMemo<ThreadScreenContext>(
    () => ({
      actions,
      marked: target,
      waits: mode === "sync",
      walk: intents.walk,
      focus,
      askRemoval: (messageId, role) => setRemoval({ messageId, role }),
      showStory: (requestId) => navigate(`/activity/${requestId}`),
      focusComposer: () => {
        const element = field.current;
        element?.focus();
        element?.setSelectionRange(element.value.length, element.value.length);
      },
      sendNow: (messageId) => {
        const answer = state.current.thread.messages.find((one) => one.parentId === messageId);
        if (answer?.refusal) actions.retry(answer.id);
        else client.retryNow();
      },
      takeBack: (messageId) => {
        void actions.takeBack(messageId).then((done) => done && field.current?.focus());
      },
    }),
    [actions, client, intents, mode, navigate, target],
  );

  const waiting = mode === "sync" && running.length > 0;
  const window = useWindow(messages, place?.anchors[0]?.id ?? null);
  const runtime = useThreadRuntime(
    { messages, indexes: window.indexes, loading: thread.loading, sendDisabled: waiting },
    intents,
  );
  useAnnouncements(running);
  useLoadUntilPlace(thread, place);

  const setAgent = useCallback(
    (name: string) => (isNew ? setFirstAgent(name) : chatActions.setAgent(chatId, name)),
    [chatId, isNew],
  );
  const tail = messages.at(-1);
  const gone = !isNew && thread.missing && messages.length === 0;
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ScreenContext value={screen}>
        <ThreadPrimitive.Root className={styles.thread}>
          {!isNew && !gone && (
            <ThreadHeader
              chatId={chatId}
              title={thread.title}
              running={running.filter((answer) => answer.state.get().status !== "unsent").length}
              needsYou={tail?.status === "waiting"}
            />
          )}
          <ThreadBody thread={thread} isNew={isNew} place={place} scroller={scroller} window={window} />
          {!gone && (
            <Composer
              draftKey={isNew ? NEW_DRAFT : chatId}
              field={field}
              agent={thread.agent ?? firstAgent}
              onAgent={setAgent}
              mode={mode}
              onMode={setMode}
              running={running.length > 0}
              tailIsLive={tail ? isLive(tail.status) : false}
              needsYou={tail?.status === "waiting"}
              waiting={waiting}
              onStop={intents.stop}
            />
          )}
          <SelectionQuote />
          <ThreadKeys scroller={scroller} />
          <RemovalDialog
            removal={removal}
            onClose={() => setRemoval(null)}
            onConfirm={(messageId) => intents.remove(messageId)}
          />
        </ThreadPrimitive.Root>
      </ScreenContext>
    </AssistantRuntimeProvider>
  );
}
