// @vitest-environment jsdom
/** A link to a message opens the chat at it, once; and says so if it cannot. */
import * as design from "@app/design/index.ts";
import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Router } from "wouter";
import { memoryLocation } from "wouter/memory-location";
import { useTarget } from "./target.ts";

vi.mock("@app/design/index.ts", () => ({ toast: vi.fn() }));

beforeEach(() => vi.mocked(design.toast).mockReset());
afterEach(cleanup);

/** A chat at an address, in which `known` can be found. */
function at(address: string, known: readonly string[] = ["m1"]) {
  const [path = "", search = ""] = address.split("?");
  const place = memoryLocation({ path, searchPath: search, record: true });
  const reveal = vi.fn(async (id: string) => known.includes(id));
  const wrapper = ({ children }: { children: ReactNode }) => (
    <Router hook={place.hook} searchHook={place.searchHook}>
      {children}
    </Router>
  );
  const view = renderHook(() => useTarget({ chatId: "c", reveal }), { wrapper });
  return { place, reveal, view, go: (to: string) => act(async () => place.navigate(to)) };
}

it("begins at the message once it is shown, and takes its name out of the address", async () => {
  const { place, view } = at("/c/c?m=m1");
  expect(view.result.current).toBeNull();
  await act(async () => {});
  expect(view.result.current).toEqual({ messageId: "m1", turn: 1 });
  expect(place.history.at(-1)).toBe("/c/c");
  expect(design.toast).not.toHaveBeenCalled();
});

it("goes there again when the same link is followed again", async () => {
  const { view, go } = at("/c/c?m=m1");
  await act(async () => {});
  await go("/c/c?m=m1");
  expect(view.result.current).toEqual({ messageId: "m1", turn: 2 });
});

it("says that a message is not there, and stays where the chat begins", async () => {
  const { place, view } = at("/c/c?m=gone");
  await act(async () => {});
  expect(view.result.current).toBeNull();
  expect(place.history.at(-1)).toBe("/c/c");
  expect(vi.mocked(design.toast).mock.calls).toEqual([
    [{ text: "That message could not be found in this chat. It may have been deleted." }],
  ]);
});

it("asks for nothing where the address names nothing", async () => {
  const { reveal, view } = at("/c/c?x=1");
  await act(async () => {});
  expect(view.result.current).toBeNull();
  expect(reveal).not.toHaveBeenCalled();
});

it("does not go to a message that somebody has left before it was found", async () => {
  const { view } = at("/c/c?m=m1");
  view.unmount();
  await act(async () => {});
  expect(view.result.current).toBeNull();
});
