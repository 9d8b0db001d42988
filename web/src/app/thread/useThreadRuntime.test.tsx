// @vitest-environment jsdom
import type { ThreadMessage } from "@app/model/index.ts";
import {
  ActionBarPrimitive,
  AssistantRuntimeProvider,
  BranchPickerPrimitive,
  ComposerPrimitive,
  ThreadPrimitive,
  useAuiState,
} from "@assistant-ui/react";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { windowAround, windowIndexes } from "./runtimeWindow.ts";
import { messageAt, messagesUpTo } from "./threadFixtures.ts";
import { type RuntimeIntents, useThreadExtras, useThreadRuntime } from "./useThreadRuntime.ts";

afterEach(cleanup);

function intents() {
  return {
    send: vi.fn(),
    edit: vi.fn(),
    regenerate: vi.fn(),
    walk: vi.fn(),
    stop: vi.fn(),
    remove: vi.fn(),
  } satisfies RuntimeIntents;
}

function Message() {
  const id = useAuiState((state) => state.message.id);
  return (
    <section data-testid={id}>
      <BranchPickerPrimitive.Root>
        <BranchPickerPrimitive.Previous>before</BranchPickerPrimitive.Previous>
        <BranchPickerPrimitive.Number /> of <BranchPickerPrimitive.Count />
        <BranchPickerPrimitive.Next>after</BranchPickerPrimitive.Next>
      </BranchPickerPrimitive.Root>
      <ActionBarPrimitive.Reload>again</ActionBarPrimitive.Reload>
      <ActionBarPrimitive.Edit>edit</ActionBarPrimitive.Edit>
    </section>
  );
}

function Edit() {
  return (
    <ComposerPrimitive.Root>
      <ComposerPrimitive.Input aria-label="edit" />
      <ComposerPrimitive.Send>save</ComposerPrimitive.Send>
    </ComposerPrimitive.Root>
  );
}

const COMPONENTS = { UserMessage: Message, AssistantMessage: Message, UserEditComposer: Edit };
let draws = 0;

function Rows() {
  const { messages, known } = useThreadExtras();
  draws += 1;
  return messages
    .filter((message) => known.has(message.id))
    .map((message) => (
      <ThreadPrimitive.Unstable_MessageById key={message.id} messageId={message.id} components={COMPONENTS} />
    ));
}

function Thread(props: {
  messages: readonly ThreadMessage[];
  to: RuntimeIntents;
  indexes?: number[];
  wait?: boolean;
}) {
  const { messages, to, wait = false } = props;
  const indexes = props.indexes ?? messages.map((_, index) => index);
  const runtime = useThreadRuntime({ messages, indexes, loading: false, sendDisabled: wait }, to);
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Rows />
      <ComposerPrimitive.Root>
        <ComposerPrimitive.Input aria-label="message" submitMode="enter" />
        <ComposerPrimitive.Send>send</ComposerPrimitive.Send>
      </ComposerPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}

const inside = (id: string, name: string) => {
  const button = [...screen.getByTestId(id).querySelectorAll("button")].find(
    (one) => one.textContent === name,
  );
  return button as HTMLButtonElement;
};

describe("useThreadRuntime", () => {
  it("shows all messages in the first render, so that an opened chat never flashes", () => {
    draws = 0;
    const view = render(<Thread messages={messagesUpTo(6)} to={intents()} />);
    expect(view.container.querySelectorAll("section")).toHaveLength(6);
  });

  it("counts siblings that it does not know, and walks them by the model", async () => {
    const to = intents();
    const messages = [messageAt(0), messageAt(1, { siblings: { index: 1, count: 3 } })];
    const view = render(<Thread messages={messages} to={to} />);
    expect(screen.getByTestId("m1").textContent).toContain("2 of 3");
    await act(async () => fireEvent.click(inside("m1", "after")));
    expect(to.walk).toHaveBeenLastCalledWith("m1", 1);
    // Until the model answers the same branch stays on screen.
    expect(screen.getByTestId("m1")).toBeTruthy();
    await act(async () => view.rerender(<Thread to={to} messages={[messages[0]!, sibling(2)]} />));
    expect(screen.getByTestId("m1-2").textContent).toContain("3 of 3");
    await act(async () => view.rerender(<Thread to={to} messages={[messages[0]!, sibling(0)]} />));
    expect(screen.getByTestId("m1-0").textContent).toContain("1 of 3");
    expect(inside("m1-0", "before").disabled).toBe(true);
    await act(async () => fireEvent.click(inside("m1-0", "after")));
    expect(to.walk).toHaveBeenLastCalledWith("m1-0", 1);
  });

  it("walks siblings while an answer runs", async () => {
    const to = intents();
    const running = messageAt(1, { status: "running", parts: null, siblings: { index: 1, count: 2 } });
    render(<Thread messages={[messageAt(0), running]} to={to} />);
    await act(async () => fireEvent.click(inside("m1", "before")));
    expect(to.walk).toHaveBeenCalledWith("m1", -1);
  });

  it("gives an edit to the model with the id of the message that was edited", async () => {
    const to = intents();
    render(<Thread messages={messagesUpTo(4)} to={to} />);
    await act(async () => fireEvent.click(inside("m2", "edit")));
    const field = screen.getByLabelText("edit") as HTMLTextAreaElement;
    expect(field.value).toBe("text of m2");
    await act(async () => fireEvent.change(field, { target: { value: "other words" } }));
    await act(async () => fireEvent.click(screen.getByText("save")));
    expect(to.edit).toHaveBeenCalledWith("m2", "other words");
    expect(to.send).not.toHaveBeenCalled();
  });

  it("asks for another answer by the answer's own id", async () => {
    const to = intents();
    render(<Thread messages={messagesUpTo(2)} to={to} />);
    await act(async () => fireEvent.click(inside("m1", "again")));
    expect(to.regenerate).toHaveBeenCalledWith("m1");
  });

  it("sends while an answer runs, and keeps the text while the composer must wait", async () => {
    const to = intents();
    const messages = [messageAt(0), messageAt(1, { status: "running", parts: null })];
    const view = render(<Thread messages={messages} to={to} wait />);
    const field = screen.getByLabelText("message") as HTMLTextAreaElement;
    await act(async () => fireEvent.change(field, { target: { value: "and then?" } }));
    await act(async () => fireEvent.keyDown(field, { key: "Enter" }));
    expect(to.send).not.toHaveBeenCalled();
    expect(field.value).toBe("and then?");
    await act(async () => view.rerender(<Thread messages={messages} to={to} />));
    await act(async () => fireEvent.click(screen.getByText("send")));
    expect(to.send).toHaveBeenCalledWith("and then?");
    expect(field.value).toBe("");
  });

  it("drops what a branch does not have, adds what is prepended, and draws only then", async () => {
    const to = intents();
    const messages = messagesUpTo(8);
    const view = render(<Thread messages={messages.slice(4)} to={to} />);
    await act(async () => view.rerender(<Thread messages={messages} to={to} />));
    expect(ids(view.container)).toEqual(messages.map((message) => message.id));
    await act(async () => view.rerender(<Thread messages={messages.slice(0, 2)} to={to} />));
    expect(ids(view.container)).toEqual(["m0", "m1"]);
    draws = 0;
    await act(async () => {});
    expect(draws).toBe(0);
  });

  it("knows a bounded part of two thousand messages, with the last turn", () => {
    const messages = messagesUpTo(2_000);
    const indexes = windowIndexes(2_000, windowAround(2_000, 700, 715));
    const view = render(<Thread messages={messages} indexes={indexes} to={intents()} />);
    const known = ids(view.container);
    expect(known.length).toBeLessThanOrEqual(160);
    expect(known).toContain("m707");
    expect(known.at(-1)).toBe("m1999");
  });

  it("puts no style element into the page, as the content policy demands", () => {
    render(<Thread messages={messagesUpTo(4)} to={intents()} />);
    expect(document.querySelectorAll("style")).toHaveLength(0);
  });
});

function sibling(index: number): ThreadMessage {
  return messageAt(1, { id: `m1-${index}`, siblings: { index, count: 3 } });
}

function ids(container: HTMLElement): (string | undefined)[] {
  return [...container.querySelectorAll<HTMLElement>("section")].map((one) => one.dataset.testid);
}
