// @vitest-environment jsdom
/** The menu by keyboard: opened, walked, chosen from, left. */
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Button } from "./Button.tsx";
import { loadMenu, Menu } from "./Menu.tsx";

beforeAll(() => loadMenu());

describe("Menu", () => {
  const rename = vi.fn();
  const remove = vi.fn();
  beforeEach(() => {
    rename.mockClear();
    remove.mockClear();
    vi.stubGlobal(
      "ResizeObserver",
      class {
        observe() {}
        unobserve() {}
        disconnect() {}
      },
    );
    Element.prototype.scrollIntoView ??= () => {};
    render(
      <Menu
        label="Actions"
        trigger={<Button>More</Button>}
        items={[
          { label: "Rename", onSelect: rename },
          { label: "Move", onSelect: () => {}, disabled: true },
          { label: "Delete", onSelect: remove, danger: true, separatorBefore: true },
        ]}
      />,
    );
    act(() => screen.getByText("More").focus());
    fireEvent.keyDown(screen.getByText("More"), { key: "ArrowDown" });
  });
  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
  });
  const focused = () => document.activeElement?.textContent;

  it("opens with the arrow key on its first item", async () => {
    await waitFor(() => expect(focused()).toBe("Rename"));
    expect(screen.getAllByRole("menuitem")).toHaveLength(3);
  });

  it("walks over what is disabled, and runs what is chosen", async () => {
    await waitFor(() => expect(focused()).toBe("Rename"));
    fireEvent.keyDown(document.activeElement!, { key: "ArrowDown" });
    await waitFor(() => expect(focused()).toBe("Delete"));
    fireEvent.keyDown(document.activeElement!, { key: "Enter" });
    expect(remove).toHaveBeenCalledTimes(1);
    await waitFor(() => expect(screen.queryByRole("menu")).toBeNull());
  });

  it("closes with Escape, chooses nothing and gives the focus back", async () => {
    await waitFor(() => expect(focused()).toBe("Rename"));
    fireEvent.keyDown(document.activeElement!, { key: "Escape" });
    await waitFor(() => expect(screen.queryByRole("menu")).toBeNull());
    expect(focused()).toBe("More");
    expect(rename).not.toHaveBeenCalled();
  });
});
