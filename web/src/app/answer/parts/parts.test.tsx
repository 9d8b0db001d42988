// @vitest-environment jsdom
/** What people see of an answer's parts, and how it went. */
import type { Answer, AnswerState, Part } from "@sdk";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { loadMarkdown } from "../markdown/lazy.tsx";
import { plainText } from "../plainText.ts";
import { AnswerFooter } from "./AnswerFooter.tsx";
import { AnswerParts } from "./AnswerParts.tsx";
import { outcomeWords } from "./outcome.ts";
import { percentOf } from "./Progress.tsx";
import { pretty } from "./ToolCall.tsx";
import { askedIn } from "./WaitCard.tsx";

beforeAll(() => loadMarkdown());

const AT = 1_760_000_000_000;

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(AT);
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const text = (chunks: string[], open = false): Part => ({
  kind: "text",
  at: AT,
  text: chunks.join(""),
  chunks,
  open,
});
const tool = (more: object): Part =>
  ({
    kind: "tool",
    at: AT,
    call_id: "c",
    name: "search",
    where: "server",
    arguments: "",
    chunks: ['{"a":1}'],
    result: "",
    state: "called",
    ...more,
  }) as Part;
const wait = (more: object): Part =>
  ({
    kind: "wait",
    at: AT,
    wait_id: "w",
    wait_kind: "approval",
    body: { title: "Send it?", arguments: { to: "a" } },
    digest: "d",
    expires_at: null,
    decision: null,
    state: "open",
    ...more,
  }) as Part;

function shown(...parts: Part[]) {
  return render(<AnswerParts parts={parts} status="running" onDecide={async () => {}} />);
}

/** An answer whose parts can be changed, and that counts who listens. */
class Scripted {
  readonly listeners = new Map<number, Set<() => void>>();
  constructor(readonly parts: Part[]) {}
  part(index: number) {
    return {
      get: () => this.parts[index]!,
      subscribe: (listener: () => void) => {
        const all = this.listeners.get(index) ?? new Set();
        this.listeners.set(index, all.add(listener));
        return () => all.delete(listener);
      },
    };
  }
  set(index: number, part: Part) {
    this.parts[index] = part;
    for (const listener of this.listeners.get(index) ?? []) listener();
  }
}

describe("AnswerParts", () => {
  it("shows what comes to a part that is followed, without being given new parts", () => {
    const chunks = ["one"];
    const live = new Scripted([text(chunks, true)]);
    render(<AnswerParts parts={[...live.parts]} live={live as unknown as Answer} status="running" />);
    chunks.push(" two");
    act(() => live.set(0, text(chunks, true)));
    expect(screen.getByText("one two")).toBeTruthy();
  });

  it("renders at most once a frame however often it is told", () => {
    const chunks = ["a"];
    const live = new Scripted([text(chunks, true)]);
    const view = render(
      <AnswerParts parts={[...live.parts]} live={live as unknown as Answer} status="running" />,
    );
    const tell = (chunk: string) => {
      chunks.push(chunk);
      act(() => live.set(0, text(chunks, true)));
    };
    tell("b");
    tell("c");
    tell("d");
    expect(view.container.textContent).toBe("ab");
    act(() => void vi.advanceTimersByTime(300));
    expect(view.container.textContent).toBe("abcd");
  });

  it("shows another text where an attempt was superseded", () => {
    const live = new Scripted([text(["old text"], true)]);
    const view = render(
      <AnswerParts parts={[...live.parts]} live={live as unknown as Answer} status="running" />,
    );
    act(() => live.set(0, text(["new"], true)));
    expect(view.container.textContent).toBe("new");
  });

  it("stops listening when it goes", () => {
    const live = new Scripted([text(["a"], true)]);
    render(
      <AnswerParts parts={[...live.parts]} live={live as unknown as Answer} status="running" />,
    ).unmount();
    expect(live.listeners.get(0)?.size).toBe(0);
  });

  it("folds reasoning and opens it only when asked, also while it streams", () => {
    shown({ kind: "reasoning", at: AT, text: "hm", chunks: ["hm"], open: true });
    expect(screen.queryByText("hm")).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: /Thinking…/ }));
    expect(screen.getByText("hm")).toBeTruthy();
  });

  it("says how long it has been thinking, at most once a second", () => {
    shown({ kind: "reasoning", at: AT, text: "", chunks: [], open: true });
    act(() => void vi.advanceTimersByTime(3_000));
    expect(screen.getByText("3.0 s")).toBeTruthy();
  });

  it.each([
    [{ state: "done", result: '{"ok":true}' }, "done"],
    [{ state: "failed", result: "no" }, "failed"],
    [{ state: "unknown" }, "unknown"],
    [{ state: "called", where: "client" }, "not run here"],
  ])("says how a tool call stands: %j", (more, word) => {
    shown(tool(more));
    expect(screen.getByText(word)).toBeTruthy();
  });

  it("shows a tool's arguments indented only when asked", () => {
    const view = shown(tool({ state: "done", result: "x" }));
    expect(view.container.textContent).not.toContain('"a"');
    fireEvent.click(screen.getByRole("button", { name: /search/ }));
    expect(view.container.textContent).toContain('{  "a": 1}'.replace("{  ", "{\n  ").replace("}", "\n}"));
  });

  it("puts steps together and says how far each is", () => {
    const step = (more: object): Part =>
      ({
        kind: "progress",
        at: AT,
        id: "x",
        label: "Read",
        step_kind: "step",
        step: null,
        total: null,
        percent: null,
        state: "running",
        ...more,
      }) as Part;
    shown(step({ step: 2, total: 5 }), step({ label: "Up", percent: 40, state: "stopped" }));
    expect(screen.getAllByRole("list")).toHaveLength(1);
    expect(screen.getByRole("progressbar", { name: "Read" }).getAttribute("aria-valuenow")).toBe("20");
    expect(screen.getByText("stopped at 40 %")).toBeTruthy();
  });

  it("does not link a source whose address is not one to follow, and shows nothing for an unknown part", () => {
    const view = shown(
      { kind: "source", at: AT, id: "s", url: "javascript:x", title: "Bad" },
      { kind: "unknown", at: AT, event: "e" },
    );
    expect(view.container.querySelector("a")).toBeNull();
    expect(view.container.textContent).toBe("1Bad");
  });
});

describe("WaitCard", () => {
  it("sends what the person decides with the digest of what was asked, and the note", async () => {
    const decide = vi.fn(async () => {});
    render(<AnswerParts parts={[wait({})]} status="waiting" onDecide={decide} />);
    fireEvent.change(screen.getByLabelText("Note (optional)"), { target: { value: "fine" } });
    await act(async () => fireEvent.click(screen.getByRole("button", { name: "Approve" })));
    expect(decide).toHaveBeenCalledExactlyOnceWith("w", "d", { approved: true, note: "fine" });
  });

  it.each([
    ["Approve", true],
    ["Deny", false],
  ])("sends %s without a note as the command line does", async (name, decision) => {
    const decide = vi.fn(async () => {});
    render(<AnswerParts parts={[wait({})]} status="waiting" onDecide={decide} />);
    await act(async () => fireEvent.click(screen.getByRole("button", { name })));
    expect(decide).toHaveBeenCalledExactlyOnceWith("w", "d", decision);
  });

  it("says why it could not be sent, and lets it be tried again", async () => {
    render(
      <AnswerParts
        parts={[wait({})]}
        status="waiting"
        onDecide={() => Promise.reject(new Error("It was decided."))}
      />,
    );
    await act(async () => fireEvent.click(screen.getByRole("button", { name: "Deny" })));
    expect(screen.getByRole("alert").textContent).toBe("It was decided.");
    expect(screen.getByRole("button", { name: "Deny" }).hasAttribute("disabled")).toBe(false);
  });

  it.each([
    [{ state: "decided", decision: { approved: false, note: "no" } }, "Denied: no"],
    [{ state: "decided", decision: true }, "Approved."],
    [{ state: "expired" }, "Nobody decided in time."],
    [{ state: "closed" }, "The answer ended before anybody decided."],
  ])("says how it ended and offers nothing: %j", (more, words) => {
    shown(wait(more));
    expect(screen.getByText(words)).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
  });

  it("counts down to its expiry", () => {
    shown(wait({ expires_at: AT + 65_000 }));
    act(() => void vi.advanceTimersByTime(5_000));
    expect(screen.getByText(/1 min left/)).toBeTruthy();
  });

  it("asks in words whatever an agent sends", () => {
    expect(askedIn({ body: "Go?", wait_kind: "x" })).toEqual({ question: "Go?", details: "" });
    expect(askedIn({ body: { tool: "rm" }, wait_kind: "approval" })).toEqual({
      question: "May it run rm?",
      details: "",
    });
    expect(askedIn({ body: [1], wait_kind: "approval" }).question).toBe("May it go on?");
  });
});

describe("AnswerFooter", () => {
  const STATE = {
    status: "completed",
    outcome: null,
    acceptedAt: AT - 5_000,
    firstOutputAt: AT - 4_000,
    endedAt: AT,
    attempt: 1,
    superseded: [],
    usage: {
      type: "usage",
      at: AT,
      span: 1,
      input_tokens: 1_200,
      output_tokens: 30,
      reasoning_tokens: 0,
      cached_tokens: 0,
      estimated: false,
    },
  } as unknown as AnswerState;

  it("says how long it took, when it began, and what it used", () => {
    const view = render(<AnswerFooter state={STATE} />);
    expect(view.container.textContent).toBe("5.0 s1,200 tokens in, 30 outfirst output after 1.0 s");
  });

  it("ticks while it runs", () => {
    const view = render(<AnswerFooter state={{ ...STATE, status: "running", endedAt: null }} />);
    act(() => void vi.advanceTimersByTime(2_000));
    expect(view.container.textContent).toMatch(/^7\.0 s/);
  });

  it("leads to the story where earlier attempts are not at hand", () => {
    const told = { ...STATE, attempt: 2 };
    const view = render(<AnswerFooter state={told} story="/activity/r-1" />);
    expect(screen.getByRole("link", { name: "attempt 2" }).getAttribute("href")).toBe("/activity/r-1");
    view.rerender(<AnswerFooter state={{ ...told, attempt: 1 }} story="/activity/r-1" />);
    expect(screen.queryByRole("link")).toBeNull();
  });

  it("shows what earlier attempts had shown only on demand", () => {
    render(
      <AnswerFooter
        state={{
          ...STATE,
          attempt: 2,
          superseded: [{ attempt: 1, reason: "retry", parts: [text(["gone"])] }],
        }}
      />,
    );
    expect(screen.queryByText("gone")).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "Earlier attempt" }));
    expect(screen.getByText("gone")).toBeTruthy();
  });

  it("says what went wrong and what to do", () => {
    const at = { at: AT, span: 1 };
    expect(outcomeWords({ type: "completed", code: "stop", message: "", retryable: false, ...at })).toBe("");
    expect(outcomeWords({ type: "timed_out", code: "queue", message: "", retryable: true, ...at })).toMatch(
      /Try again/,
    );
    expect(
      outcomeWords({ type: "failed", code: "upstream", message: "No answer", retryable: true, ...at }),
    ).toBe("No answer. Trying again may help. (upstream)");
    expect(outcomeWords({ type: "cancelled", code: "user", message: "", retryable: false, ...at })).toBe(
      "You stopped it.",
    );
  });
});

describe("small things", () => {
  it("gives the answer's text for copying, without what was thought and done", () => {
    const parts = [
      text(["Hello ", "there"]),
      tool({}),
      { kind: "input", at: AT, id: "i", text: "and\nmore" } as Part,
      { kind: "source", at: AT, id: "s", url: "https://a.example", title: "A" } as Part,
    ];
    expect(plainText(parts)).toBe("Hello there\n\n> and\n> more\n\n- A: https://a.example");
  });

  it("bounds what it says of progress and of values", () => {
    expect(percentOf({ percent: 140, step: null, total: null })).toBe(100);
    expect(percentOf({ percent: null, step: 1, total: 0 })).toBeNull();
    expect(percentOf({ percent: null, step: 4, total: 4 })).toBe(75);
    expect(percentOf({ percent: null, step: 0, total: 4 })).toBe(0);
    expect(pretty("x".repeat(300_000)).text.length).toBeLessThan(101_000);
    expect(pretty("{broken").isJson).toBe(false);
  });
});
