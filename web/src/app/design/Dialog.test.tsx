// @vitest-environment jsdom
/** The dialog: it is modal, it closes when asked to, and the focus comes back. */
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Dialog } from "./Dialog.tsx";

function Page() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Open
      </button>
      <Dialog open={open} onClose={() => setOpen(false)} title="Settings">
        <p>Inside</p>
      </Dialog>
    </>
  );
}

describe("Dialog", () => {
  const showModal = vi.fn();
  beforeEach(() => {
    // jsdom has no top layer; what is ours is that showModal and close are called, and the focus.
    showModal.mockReset();
    showModal.mockImplementation(function (this: HTMLDialogElement) {
      this.setAttribute("open", "");
      this.querySelector("button")?.focus();
    });
    HTMLDialogElement.prototype.showModal = showModal;
    HTMLDialogElement.prototype.close = function () {
      this.removeAttribute("open");
    };
    render(<Page />);
    act(() => screen.getByText("Open").focus());
    fireEvent.click(screen.getByText("Open"));
  });
  afterEach(cleanup);

  it("opens as a modal dialog with its title as its name", () => {
    expect(showModal).toHaveBeenCalledTimes(1);
    expect(screen.getByRole("dialog", { name: "Settings" })).not.toBeNull();
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Close" }));
  });

  it("gives the focus back to what opened it when the cross is pressed", () => {
    fireEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(screen.queryByText("Inside")).toBeNull();
    expect(document.activeElement).toBe(screen.getByText("Open"));
  });

  it("closes through its owner when the browser cancels it, as with Escape", () => {
    const cancel = new Event("cancel", { cancelable: true });
    act(() => void screen.getByRole("dialog").dispatchEvent(cancel));
    expect(cancel.defaultPrevented).toBe(true);
    expect(screen.queryByText("Inside")).toBeNull();
    expect(document.activeElement).toBe(screen.getByText("Open"));
  });

  it("stays when something inside is pressed, and closes when the press is beside it", () => {
    const dialog = screen.getByRole("dialog");
    dialog.getBoundingClientRect = () => new DOMRect(100, 100, 200, 200);
    fireEvent.pointerDown(screen.getByText("Inside"), { clientX: 10, clientY: 10 });
    fireEvent.pointerDown(dialog, { clientX: 150, clientY: 150 });
    expect(screen.queryByText("Inside")).not.toBeNull();
    fireEvent.pointerDown(dialog, { clientX: 10, clientY: 10 });
    expect(screen.queryByText("Inside")).toBeNull();
  });
});
