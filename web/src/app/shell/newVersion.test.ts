// @vitest-environment jsdom
/** A piece of the page that is not there any more means a newer page, if the server can be reached; it is said once. */
import * as design from "@app/design/index.ts";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { watchForNewVersion } from "./newVersion.ts";

vi.mock("@app/design/index.ts", () => ({ toast: vi.fn() }));

let stop = () => {};
const missing = () => window.dispatchEvent(new Event("vite:preloadError"));

beforeEach(() => vi.mocked(design.toast).mockReset());
afterEach(() => stop());

it("is said once, with the way to it", () => {
  stop = watchForNewVersion(() => true);
  missing();
  missing();
  expect(design.toast).toHaveBeenCalledExactlyOnceWith({
    text: "A new version is here.",
    action: { label: "Reload", onSelect: expect.any(Function) },
  });
});

it("is not said while the server cannot be reached: a piece is missing then for another reason", () => {
  let online = false;
  stop = watchForNewVersion(() => online);
  missing();
  expect(design.toast).not.toHaveBeenCalled();
  online = true;
  missing();
  expect(design.toast).toHaveBeenCalledOnce();
});

it("is not said any more after the end, and the failure goes its way to whoever asked", () => {
  watchForNewVersion(() => true)();
  const event = new Event("vite:preloadError", { cancelable: true });
  window.dispatchEvent(event);
  expect(design.toast).not.toHaveBeenCalled();
  stop = watchForNewVersion(() => true);
  window.dispatchEvent(event);
  expect(event.defaultPrevented).toBe(false);
});
