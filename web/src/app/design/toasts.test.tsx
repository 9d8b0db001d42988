// @vitest-environment jsdom
/** Toasts: how long they stand, that looking holds them, that undo happens once. */
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Toasts } from "./Toasts.tsx";
import { currentToasts, dismiss, toast } from "./toasts.ts";

describe("Toasts", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    render(<Toasts />);
  });
  afterEach(() => {
    for (const one of currentToasts()) act(() => dismiss(one.id));
    cleanup();
    vi.useRealTimers();
  });
  const pass = (ms: number) => act(() => vi.advanceTimersByTime(ms));
  const show = (text: string, onSelect?: () => void) =>
    act(() => void toast(onSelect ? { text, action: { label: "Undo", onSelect } } : { text }));

  it("goes by itself: a plain one after 5 s, one with an action after 10 s", () => {
    show("Copied.");
    show("Deleted.", () => {});
    pass(4999);
    expect(screen.queryByText("Copied.")).not.toBeNull();
    pass(1);
    expect(screen.queryByText("Copied.")).toBeNull();
    pass(4999);
    expect(screen.queryByText("Deleted.")).not.toBeNull();
    pass(1);
    expect(screen.queryByText("Deleted.")).toBeNull();
  });

  it("stands still while the pointer is on it, then takes what time was left", () => {
    show("Deleted.", () => {});
    pass(9000);
    fireEvent.pointerEnter(screen.getByRole("region"));
    pass(60_000);
    expect(screen.queryByText("Deleted.")).not.toBeNull();
    fireEvent.pointerLeave(screen.getByRole("region"));
    pass(999);
    expect(screen.queryByText("Deleted.")).not.toBeNull();
    pass(1);
    expect(screen.queryByText("Deleted.")).toBeNull();
  });

  it("stands still while the focus is in it", () => {
    show("Deleted.", () => {});
    act(() => screen.getByText("Undo").focus());
    pass(60_000);
    expect(screen.queryByText("Deleted.")).not.toBeNull();
    act(() => screen.getByText("Undo").blur());
    pass(10_000);
    expect(screen.queryByText("Deleted.")).toBeNull();
  });

  it("runs the action once and goes", () => {
    const undo = vi.fn();
    show("Deleted.", undo);
    fireEvent.click(screen.getByText("Undo"));
    expect(undo).toHaveBeenCalledTimes(1);
    expect(screen.queryByText("Deleted.")).toBeNull();
    pass(60_000);
    expect(undo).toHaveBeenCalledTimes(1);
  });

  it("is reached with F8 and left with Escape, back to where the focus was", () => {
    const field = document.body.appendChild(document.createElement("button"));
    field.focus();
    vi.spyOn(document, "querySelector").mockReturnValue(null);
    show("Deleted.", () => {});
    act(() => void fireEvent.keyDown(field, { key: "F8" }));
    expect(document.activeElement?.textContent).toBe("Undo");
    act(() => void fireEvent.keyDown(screen.getByText("Undo"), { key: "Escape" }));
    expect(document.activeElement).toBe(field);
    field.remove();
  });

  it("keeps at most three", () => {
    for (const text of ["a.", "b.", "c.", "d."]) show(text);
    expect(screen.getAllByRole("listitem")).toHaveLength(3);
    expect(screen.queryByText("a.")).toBeNull();
  });
});
