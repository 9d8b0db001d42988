// @vitest-environment jsdom
import { AssistantRuntimeProvider } from "@assistant-ui/react";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { createRef } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { messagesUpTo } from "./threadFixtures.ts";
import type { RuntimeIntents } from "./useThreadRuntime.ts";

const LIMIT = 100;
const world = vi.hoisted(() => ({
  enterSends: true,
  phase: "online",
  drafts: new Map<string, string>(),
  listeners: new Set<() => void>(),
  toasts: [] as string[],
}));

vi.mock("@app/model/index.ts", async () => {
  const { useSyncExternalStore } = await import("react");
  return {
    usePreferences: () => ({ enterSends: world.enterSends }),
    useConnection: () => ({ phase: world.phase, limits: { text_bytes_max: 100 } }),
    useAgents: () => [{ name: "demo", model: "", description: "", default: true }],
    useDraft: (key: string) => {
      const text = useSyncExternalStore(
        (listener) => {
          world.listeners.add(listener);
          return () => world.listeners.delete(listener);
        },
        () => world.drafts.get(key) ?? "",
      );
      return [text, (next: string) => saveDraft(key, next)] as const;
    },
  };
});
vi.mock("@app/design/index.ts", async (original) => ({
  ...(await original<typeof import("@app/design/index.ts")>()),
  toast: (input: { text: string }) => world.toasts.push(input.text),
}));

function saveDraft(key: string, text: string) {
  world.drafts.set(key, text);
  for (const listener of [...world.listeners]) listener();
}

const { Composer } = await import("./Composer.tsx");
const { useThreadRuntime } = await import("./useThreadRuntime.ts");

const send = vi.fn();
const stop = vi.fn();
const intents: RuntimeIntents = { send, stop, edit() {}, regenerate() {}, walk() {}, remove() {} };
const messages = messagesUpTo(2);
const indexes = [0, 1];
const field = createRef<HTMLTextAreaElement>();

function Page(props: { waiting?: boolean; running?: boolean; draftKey?: string }) {
  const { waiting = false, running = waiting, draftKey = "c1" } = props;
  const runtime = useThreadRuntime({ messages, indexes, loading: false, sendDisabled: waiting }, intents);
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Composer
        draftKey={draftKey}
        field={field}
        agent={null}
        onAgent={() => {}}
        mode={waiting ? "sync" : "async"}
        onMode={() => {}}
        running={running}
        tailIsLive={running}
        needsYou={false}
        waiting={waiting}
        onStop={stop}
      />
    </AssistantRuntimeProvider>
  );
}

const box = () => screen.getByRole("textbox") as HTMLTextAreaElement;
const type = (text: string) => act(async () => fireEvent.change(box(), { target: { value: text } }));
const press = (key: string, more: object = {}) => act(async () => fireEvent.keyDown(box(), { key, ...more }));

beforeEach(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
  world.enterSends = true;
  world.phase = "online";
  world.drafts.clear();
  world.toasts.length = 0;
  send.mockReset();
  stop.mockReset();
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("Composer", () => {
  it("sends with Enter and is empty afterwards, and so is the draft", async () => {
    render(<Page />);
    await type("hello");
    expect(world.drafts.get("c1")).toBe("hello");
    await press("Enter");
    expect(send).toHaveBeenCalledExactlyOnceWith("hello");
    expect(box().value).toBe("");
    expect(world.drafts.get("c1")).toBe("");
  });

  it("sends once when the button is pressed", async () => {
    render(<Page />);
    await type("hello");
    await act(async () => fireEvent.click(screen.getByRole("button", { name: "Send" })));
    expect(send).toHaveBeenCalledExactlyOnceWith("hello");
  });

  it("keeps Shift+Enter, and Enter where the person wants it so, for line breaks", async () => {
    const view = render(<Page />);
    await type("hello");
    await press("Enter", { shiftKey: true });
    world.enterSends = false;
    view.rerender(<Page />);
    await press("Enter");
    expect(send).not.toHaveBeenCalled();
    await press("Enter", { ctrlKey: true });
    expect(send).toHaveBeenCalledExactlyOnceWith("hello");
  });

  it("does not send the Enter that ends an input method's composition", async () => {
    render(<Page />);
    await type("にほん");
    await press("Enter", { isComposing: true });
    await press("Enter", { keyCode: 229 });
    expect(send).not.toHaveBeenCalled();
    expect(box().value).toBe("にほん");
  });

  it("shows the draft from the first moment, and what another tab or a quotation makes of it", async () => {
    world.drafts.set("c1", "from before");
    render(<Page />);
    expect(box().value).toBe("from before");
    await act(async () => saveDraft("c1", "from elsewhere"));
    expect(box().value).toBe("from elsewhere");
  });

  it("waits in Wait mode: Enter sends nothing, Escape and the button stop, the text stays", async () => {
    render(<Page waiting />);
    await type("next");
    await press("Enter");
    expect(send).not.toHaveBeenCalled();
    expect(screen.queryByRole("button", { name: "Send" })).toBeNull();
    await press("Escape");
    await act(async () => fireEvent.click(screen.getByRole("button", { name: "Stop" })));
    expect(stop).toHaveBeenCalledTimes(2);
    expect(box().value).toBe("next");
  });

  it("lets a follow-up go in Background mode while an answer runs, and says that it is queued", async () => {
    render(<Page running />);
    expect(screen.getByRole("button", { name: "Stop" })).toBeTruthy();
    await type("and then?");
    expect(screen.getByText(/queued behind/)).toBeTruthy();
    await press("Enter");
    expect(send).toHaveBeenCalledExactlyOnceWith("and then?");
  });

  it("tells the limit near it and refuses to send beyond it", async () => {
    render(<Page />);
    await type("x".repeat(LIMIT - 10));
    expect(screen.getByText("10 bytes left")).toBeTruthy();
    await type("x".repeat(LIMIT + 5));
    expect(screen.getByText("5 bytes too long")).toBeTruthy();
    await press("Enter");
    expect(send).not.toHaveBeenCalled();
  });

  it("refuses a paste that cannot be sent, and says why", async () => {
    render(<Page />);
    await type("keep this");
    const paste = (text: string) =>
      fireEvent.paste(box(), { clipboardData: { getData: () => text, files: [] } });
    let allowed = true;
    await act(async () => {
      allowed = paste("y".repeat(LIMIT * 2));
    });
    expect(allowed).toBe(false);
    expect(world.toasts[0]).toContain("at most 100 bytes");
    await act(async () => {
      allowed = paste("short");
    });
    expect(allowed).toBe(true);
  });

  it("says that what is sent offline is kept", () => {
    world.phase = "offline";
    render(<Page />);
    expect(screen.getByText(/kept here until you are connected/)).toBeTruthy();
  });

  it("opens the person's last message for editing with Up, but only in an empty field", async () => {
    render(<Page />);
    const up = async () => {
      let taken = false;
      await act(async () => {
        taken = !fireEvent.keyDown(box(), { key: "ArrowUp" });
      });
      return taken;
    };
    await type("text");
    expect(await up()).toBe(false);
    await type("");
    expect(await up()).toBe(true);
    // It is open already: there is nothing more to open.
    expect(await up()).toBe(false);
  });
});
