// @vitest-environment jsdom
/** A piece of the page that could not be loaded: it is asked for again when it is wanted again, and not before. */
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ErrorBoundary } from "./ErrorBoundary.tsx";
import { lazyScreen } from "./lazyScreen.tsx";

/** A piece that cannot be had until `back`. */
function away() {
  let there = false;
  const load = vi.fn(async () => {
    if (!there) throw new TypeError("Failed to fetch dynamically imported module");
    return ({ name }: { name: string }) => <p>Here is {name}</p>;
  });
  const back = () => {
    there = true;
  };
  return { load, back, Piece: lazyScreen(load) };
}

const shown = async (text: RegExp) => screen.findByText(text);

describe("lazyScreen", () => {
  afterEach(() => {
    cleanup();
    for (const link of document.querySelectorAll("link")) link.remove();
  });

  it("says that it could not be loaded, and loads it when asked again", async () => {
    // React reports what a boundary caught.
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { load, back, Piece } = away();
    render(<Piece name="one" />);
    await shown(/could not be loaded/);
    expect(load).toHaveBeenCalledTimes(1);
    act(() => screen.getByRole("button", { name: "Try again" }).click());
    await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(2));
    await shown(/could not be loaded/);
    back();
    act(() => screen.getByRole("button", { name: "Try again" }).click());
    await shown(/Here is one/);
    expect(load).toHaveBeenCalledTimes(3);
  });

  it("loads it when it is opened anew, and once only when that went well", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { load, back, Piece } = away();
    const first = render(<Piece name="one" />);
    await shown(/could not be loaded/);
    first.unmount();
    back();
    const second = render(<Piece name="two" />);
    await shown(/Here is two/);
    second.unmount();
    render(<Piece name="three" />);
    expect(screen.getByText(/Here is three/)).toBeDefined();
    expect(load).toHaveBeenCalledTimes(2);
  });

  it("leaves what breaks inside of it to whoever keeps the screen", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const Piece = lazyScreen(async () => () => {
      throw new Error("broken inside");
    });
    render(
      <ErrorBoundary resetKey="x">
        <Piece />
      </ErrorBoundary>,
    );
    await shown(/This screen broke/);
    await shown(/broken inside/);
  });

  it("asks again for a style sheet that did not come with it", async () => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = "/assets/piece.css";
    document.head.append(link);
    vi.spyOn(console, "error").mockImplementation(() => {});
    const { load, back, Piece } = away();
    render(<Piece name="one" />);
    await shown(/could not be loaded/);
    back();
    act(() => screen.getByRole("button", { name: "Try again" }).click());
    await vi.waitFor(() => expect(document.querySelectorAll("link")).toHaveLength(2));
    expect(load).toHaveBeenCalledTimes(1);
    const again = document.querySelectorAll("link")[1]!;
    expect(again.getAttribute("href")).toBe("/assets/piece.css");
    await act(async () => again.dispatchEvent(new Event("load")));
    await shown(/Here is one/);
    expect(document.querySelectorAll("link")).toHaveLength(1);
  });
});
