"""What the frames of a page cost its main thread, from the browser's own trace.

    await marked(page.context)                     # before its pages are opened
    frames = await traced(page, seconds=5)
    assert median(frame.work_ms for frame in frames if frame.pushes) < 16

Work is CPU time, which a busy machine does not stretch; frames are counted by the browser's own, and those in which
pages of an answer arrived are known by a mark that is set for each.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import BrowserContext, Page

CATEGORIES: Final = ["toplevel", "cc", "blink.user_timing"]
TASK: Final = "ThreadControllerImpl::RunTask"
FRAME: Final = "ProxyMain::BeginMainFrame"
PUSH: Final = "push"

# Marks each page of an answer as it arrives, before the app has it. The rounds for each are work that shows that slowness is
# seen: counted, because time passes also while others have the processor.
MARKER: Final = """
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      super.addEventListener("message", ({ data }) => {
        if (typeof data !== "string" || !data.startsWith('{"type":"page"')) return;
        performance.mark("push");
        let reckoned = 1;
        for (let round = 0; round < ROUNDS; round++) reckoned = Math.sqrt(reckoned + round);
        window.reckoned = reckoned;
      });
    }
  };
"""


@dataclass(frozen=True, slots=True)
class PageFrame:
    """One frame: the main thread's CPU time since the frame before, milliseconds, and how many pages of answers came then
    (they are drawn with it, or with the next one)."""

    work_ms: float
    pushes: int


async def marked(context: BrowserContext, *, burden: int = 0) -> None:
    """Mark what arrives on pages that are opened from now on; each costs so many rounds of idle reckoning more."""
    await context.add_init_script(MARKER.replace("ROUNDS", str(burden)))


async def traced(page: Page, folder: Path, *, seconds: float) -> list[PageFrame]:
    """The frames of that stretch, while the page asks for every frame that it can get."""
    browser = page.context.browser
    assert browser is not None
    await page.evaluate(
        "() => { window.everyFrame = true; const on = () => window.everyFrame && requestAnimationFrame(on); on(); }"
    )
    trace = await _trace(page, folder / "trace.json", seconds)
    await page.evaluate("() => { window.everyFrame = false; }")
    return frames_of(trace)


async def _trace(page: Page, path: Path, seconds: float) -> list[dict[str, Any]]:
    browser = page.context.browser
    assert browser is not None
    await browser.start_tracing(page=page, path=path, categories=CATEGORIES)
    await asyncio.sleep(seconds)
    await browser.stop_tracing()
    return _events(path)


def _events(path: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["traceEvents"]
    return events


def frames_of(events: list[dict[str, Any]]) -> list[PageFrame]:
    """The frames of the main thread on which the marks were set; a frame ends with the task that drew it."""
    marks = [one for one in events if one["name"] == PUSH]
    if not marks:
        return []
    thread = (marks[0]["pid"], marks[0]["tid"])
    own = [one for one in events if (one["pid"], one["tid"]) == thread]
    draws = sorted(one["ts"] for one in own if one["name"] == FRAME)
    pushes = sorted(one["ts"] for one in own if one["name"] == PUSH)
    found: list[PageFrame] = []
    work, came = 0.0, 0
    for task in sorted(
        (one for one in own if one["name"] == TASK and "tdur" in one), key=lambda one: one["ts"]
    ):
        end = task["ts"] + task["dur"]
        work += task["tdur"] / 1000
        while pushes and pushes[0] <= end:
            pushes.pop(0)
            came += 1
        if draws and draws[0] <= end:
            while draws and draws[0] <= end:
                draws.pop(0)
            found.append(PageFrame(work, came))
            work, came = 0.0, 0
    return found[1:]  # the first began before the trace did
