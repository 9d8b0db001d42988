// @vitest-environment jsdom
/** Shortcuts: where they fire, where they must not, and what the help lists. */
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keysLabel, setSingleKeys, shortcuts, useShortcut } from "./shortcuts.ts";

function Page(props: { onHelp: () => void; onPalette: () => void; onInbox: () => void }) {
  useShortcut("?", "Help", props.onHelp);
  useShortcut("mod+k", "Palette", props.onPalette);
  useShortcut("g i", "Inbox", props.onInbox);
  return (
    <>
      <input aria-label="field" />
      <button type="button">button</button>
    </>
  );
}

describe("useShortcut", () => {
  const calls = { onHelp: vi.fn(), onPalette: vi.fn(), onInbox: vi.fn() };
  beforeEach(() => {
    for (const call of Object.values(calls)) call.mockClear();
    // jsdom knows no top layer; no dialog is modal here unless a test says so.
    const query = document.querySelector.bind(document);
    vi.spyOn(document, "querySelector").mockImplementation((selector: string) =>
      selector.includes(":modal") ? query("dialog[data-modal]") : query(selector),
    );
    render(<Page {...calls} />);
  });
  afterEach(() => {
    cleanup();
    setSingleKeys(true);
    vi.restoreAllMocks();
  });

  it("runs where nobody types", () => {
    fireEvent.keyDown(screen.getByText("button"), { key: "?", shiftKey: true });
    expect(calls.onHelp).toHaveBeenCalledTimes(1);
  });

  it("leaves single keys to the field that has the focus", () => {
    fireEvent.keyDown(screen.getByLabelText("field"), { key: "?", shiftKey: true });
    expect(calls.onHelp).not.toHaveBeenCalled();
  });

  it("runs chords with Ctrl in a field too", () => {
    const event = fireEvent.keyDown(screen.getByLabelText("field"), { key: "k", ctrlKey: true });
    expect(calls.onPalette).toHaveBeenCalledTimes(1);
    expect(event).toBe(false);
  });

  it("takes two keys in a row as a sequence, and only in that order", () => {
    fireEvent.keyDown(document.body, { key: "i" });
    fireEvent.keyDown(document.body, { key: "g" });
    expect(calls.onInbox).not.toHaveBeenCalled();
    fireEvent.keyDown(document.body, { key: "i" });
    expect(calls.onInbox).toHaveBeenCalledTimes(1);
  });

  it("does nothing while a modal dialog is open", () => {
    const dialog = document.createElement("dialog");
    dialog.dataset.modal = "";
    document.body.append(dialog);
    fireEvent.keyDown(document.body, { key: "k", ctrlKey: true });
    dialog.remove();
    expect(calls.onPalette).not.toHaveBeenCalled();
  });

  it("switches single keys off by choice, chords stay", () => {
    setSingleKeys(false);
    fireEvent.keyDown(document.body, { key: "?", shiftKey: true });
    fireEvent.keyDown(document.body, { key: "k", ctrlKey: true });
    expect(calls.onHelp).not.toHaveBeenCalled();
    expect(calls.onPalette).toHaveBeenCalledTimes(1);
  });

  it("lists what is bound, and nothing after the component has gone", () => {
    expect(shortcuts().map(({ keys }) => keys)).toEqual(["?", "mod+k", "g i"]);
    cleanup();
    expect(shortcuts()).toEqual([]);
  });

  it("writes keys for people", () => {
    expect(keysLabel("mod+shift+k")).toBe("Ctrl Shift K");
    expect(keysLabel("g i")).toBe("G then I");
    expect(keysLabel("alt+up")).toBe("Alt ↑");
    expect(keysLabel("f2")).toBe("F2");
  });
});
