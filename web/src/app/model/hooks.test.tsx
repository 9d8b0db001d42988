// @vitest-environment jsdom
import "fake-indexeddb/auto";
import { act, cleanup, render, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { StrictMode } from "react";
import { afterEach, expect, test } from "vitest";
import {
  chatActions,
  ModelProvider,
  threadActions,
  useChatList,
  useChatMode,
  useDraft,
  usePreferences,
  useScrollMemory,
  useTabTitle,
  useThread,
} from "./index.ts";
import { chat, FakeClient, message, request, settled } from "./testing.ts";

afterEach(() => {
  cleanup();
  localStorage.clear();
});

/** Mounts what it is given below a provider, in strict mode, as the page does. */
function within(client: FakeClient) {
  return ({ children }: { children: ReactNode }) => (
    <StrictMode>
      <ModelProvider client={client.sdk}>{children}</ModelProvider>
    </StrictMode>
  );
}

function Title() {
  useTabTitle();
  return null;
}

test("a thread on screen follows its answers and lets go of them; another chat takes its place", async () => {
  const client = new FakeClient();
  client.messages = [message("u1", null, 1), message("a1", "u1", 1, { transcript: null, status: null })];
  client.chats = [chat("c", { title: "Trip" })];
  const use = ({ chatId }: { chatId: string }) => useThread(chatId);
  const { result, rerender, unmount } = renderHook(use, {
    wrapper: within(client),
    initialProps: { chatId: "c" },
  });
  expect(result.current.loading).toBe(true);
  await act(settled);
  expect(result.current.messages.map((each) => each.id)).toEqual(["u1", "a1"]);
  expect(client.fake("a1").holds).toBe(1);
  rerender({ chatId: "other" });
  expect(client.fake("a1").holds).toBe(0);
  await act(settled);
  rerender({ chatId: "c" });
  expect(result.current.messages).toHaveLength(2); // at once
  expect(client.fake("a1").holds).toBe(1);
  unmount();
  expect(client.fake("a1").holds).toBe(0);
});

test("deltas render nothing of the thread again", async () => {
  const client = new FakeClient();
  client.messages = [message("u1", null, 1), message("a1", "u1", 1, { transcript: null, status: null })];
  let renders = 0;
  renderHook(
    () => {
      renders += 1;
      return useThread("c");
    },
    { wrapper: within(client) },
  );
  await act(settled);
  act(() => client.fake("a1").become({ status: "running", sync: "live", offset: 2 }));
  const before = renders;
  act(() => client.fake("a1").delta([{ kind: "text", at: 1, text: "x", open: true, chunks: ["x"] }]));
  expect(renders).toBe(before);
});

test("sending in a new chat shows the message and lists the chat", async () => {
  const client = new FakeClient();
  const wrapper = within(client);
  let id = "";
  const { result } = renderHook(
    () => {
      id ||= chatActions.newChatId();
      return { thread: useThread(id), list: useChatList() };
    },
    { wrapper },
  );
  await act(settled);
  act(() => void threadActions(id).send("Hello"));
  expect(result.current.thread.messages[0]).toMatchObject({ text: "Hello", unsent: true });
  expect(result.current.list.rows[0]).toMatchObject({ chatId: id, title: "Hello", badge: "unsent" });
});

test("draft, mode, place and theme are what was set, per chat", async () => {
  const { result } = renderHook(
    () => ({
      draft: useDraft("c"),
      other: useDraft("d"),
      mode: useChatMode("c"),
      place: useScrollMemory<{ top: number }>("c"),
      preferences: usePreferences(),
    }),
    { wrapper: within(new FakeClient()) },
  );
  await act(settled);
  act(() => {
    result.current.draft[1]("typed");
    result.current.mode[1]("async");
    result.current.place.set({ top: 7 });
    result.current.preferences.setTheme("dark");
  });
  expect(result.current.draft[0]).toBe("typed");
  expect(result.current.other[0]).toBe("");
  expect(result.current.mode[0]).toBe("async");
  expect(result.current.place.get()).toEqual({ top: 7 });
  expect(document.documentElement.dataset.theme).toBe("dark");
});

test("the tab's title follows the chats, and is put back", async () => {
  document.title = "before";
  const client = new FakeClient();
  const { unmount } = render(<Title />, { wrapper: within(client) });
  act(() => client.feed.learn([chat("c"), request("r1")]));
  expect(document.title).toBe("● Holdfast");
  unmount();
  expect(document.title).toBe("before");
});
