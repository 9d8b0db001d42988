// @vitest-environment jsdom
/** An answer that cannot be followed any more says why, keeps what came of it, and offers to try again. */
import type { ThreadActions } from "@app/model/index.ts";
import { FakeAnswer, FakeClient } from "@app/model/testing.ts";
import { AssistantRuntimeProvider, ThreadPrimitive } from "@assistant-ui/react";
import type { Answer, Part } from "@sdk";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import "fake-indexeddb/auto";
import { ModelProvider } from "@app/model/index.ts";
import { afterEach, expect, it, vi } from "vitest";
import { AssistantMessage } from "./AssistantMessage.tsx";
import { RowContext } from "./row.ts";
import { ScreenContext, type ThreadScreenContext } from "./screen.ts";
import { messageAt } from "./threadFixtures.ts";
import { useThreadRuntime } from "./useThreadRuntime.ts";

afterEach(cleanup);

const CAME: Part = {
  kind: "text",
  at: 1,
  text: "As far as it came",
  open: true,
  chunks: ["As far as it came"],
};

function followed() {
  const answer = new FakeAnswer("m1");
  const live = Object.assign(answer, { part: () => ({ get: () => CAME, subscribe: () => () => {} }) });
  answer.become({ status: "running", sync: "live", parts: [CAME], agent: "demo" });
  return { answer, live: live as unknown as Answer };
}

function Thread({ live, actions }: { live: Answer; actions: ThreadActions }) {
  const messages = [messageAt(0), messageAt(1, { answer: live, parts: null, status: "running" })];
  const nothing = () => {};
  const to = {
    send: nothing,
    stop: nothing,
    edit: nothing,
    regenerate: nothing,
    walk: nothing,
    remove: nothing,
  };
  const runtime = useThreadRuntime({ messages, indexes: [0, 1], loading: false, sendDisabled: false }, to);
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ScreenContext value={{ actions, waits: false } as unknown as ThreadScreenContext}>
        <RowContext value={{ message: messages[1]!, isLast: true }}>
          <ThreadPrimitive.Unstable_MessageById
            messageId="m1"
            components={{ UserMessage: () => null, AssistantMessage }}
          />
        </RowContext>
      </ScreenContext>
    </AssistantRuntimeProvider>
  );
}

it("says why it is lost, and no longer that it is under way", async () => {
  const { answer, live } = followed();
  const retry = vi.fn();
  const client = new FakeClient();
  render(
    <ModelProvider client={client.sdk}>
      <Thread live={live} actions={{ retry } as unknown as ThreadActions} />
    </ModelProvider>,
  );
  await screen.findByText(/As far as it came/);
  expect(screen.getByRole("article").getAttribute("aria-busy")).toBe("true");
  expect(screen.queryByText("No such request of yours.")).toBeNull();
  act(() => answer.become({ sync: "lost", lostReason: "No such request of yours." }));
  expect(screen.getByText("No such request of yours.")).toBeDefined();
  expect(screen.getByText(/As far as it came/)).toBeDefined();
  expect(screen.getByRole("article").getAttribute("aria-busy")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(retry).toHaveBeenCalledExactlyOnceWith("m1");
});
