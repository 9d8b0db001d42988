"""A page in a real browser, and what it has cost so far: times of its main thread, of its whole process, its memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import CDPSession, Page, ViewportSize

from tests.support.browser import Chromium
from tests.support.programs import PAGE, absence, find

VIEW: ViewportSize = {"width": 1280, "height": 800}
LOOK_S = 0.1
LOOKS_MAX = 600
LOADED_LOOKS = 5  # so often in a row nothing earlier is offered

# The page listens to the address; each chat has a log of its own.
GO = """path => {
  document.querySelector("[role=log]")?.setAttribute("data-left", "");
  history.pushState(null, "", path);
}"""
STANDS = """path => {
  const log = document.querySelector("[role=log]:not([data-left])");
  return log !== null && (path === "/" || log.querySelector("[data-row]") !== null);
}"""
SHOWN = """() => {
  const log = document.querySelector("[role=log]");
  return [log.innerText.split(/\\s+/).length, Math.round(log.scrollHeight - log.scrollTop - log.clientHeight)];
}"""
LOAD_ON = """() => {
  const log = document.querySelector("[role=log]");
  log.scrollTo({ top: 0 });
  const more = [...log.querySelectorAll("button")].find((button) => button.innerText === "Earlier messages");
  more?.click();
  return more !== undefined || log.innerText.includes("Loading earlier");
}"""
TO_MIDDLE = """() => {
  const log = document.querySelector("[role=log]");
  log.scrollTo({ top: (log.scrollHeight - log.clientHeight) / 2 });
}"""


def missing() -> list[str]:
    """Why no page can be measured here: nothing, where it can."""
    return [absence(name) for name in ("chromium", PAGE) if find(name) is None]


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU since the page was opened: its main thread and that thread's parts, and the whole process."""

    task: float
    script: float
    style: float
    layout: float
    process: float

    def since(self, before: Cost, count: int = 1) -> Cost:
        """What was used between the two, for each of so many."""
        return Cost(
            *(
                (getattr(self, name) - getattr(before, name)) / count
                for name in ("task", "script", "style", "layout", "process")
            )
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What a page holds after its garbage was collected."""

    heap_bytes: int
    nodes: int
    listeners: int


class Visitor:
    """One tab."""

    def __init__(self, page: Page, tools: CDPSession, browser: CDPSession) -> None:
        self.page = page
        self._tools = tools
        self._browser = browser

    async def cost(self) -> Cost:
        """What it has used so far."""
        metrics = {
            each["name"]: each["value"] * 1000
            for each in (await self._tools.send("Performance.getMetrics"))["metrics"]
        }
        processes = (await self._browser.send("SystemInfo.getProcessInfo"))["processInfo"]
        process = sum(each["cpuTime"] for each in processes if each["type"] == "renderer") * 1000
        return Cost(
            metrics["TaskDuration"],
            metrics["ScriptDuration"],
            metrics["RecalcStyleDuration"],
            metrics["LayoutDuration"],
            process,
        )

    async def go(self, path: str) -> None:
        """Go there as a click would, without loading the page anew; until it stands there."""
        await self.page.evaluate(GO, path)
        await self.page.wait_for_function(STANDS, arg=path, polling="raf")

    async def shown(self) -> tuple[int, int]:
        """How many words the thread has, and how many pixels of it are below what is in view."""
        words, below = await self.page.evaluate(SHOWN)
        return int(words), int(below)

    async def load_all(self) -> None:
        """Have the whole thread loaded, to its first message.

        Raises: TimeoutError if that does not come to an end.
        """
        still = 0
        for _ in range(LOOKS_MAX):
            offers = await self.page.evaluate(LOAD_ON)
            await asyncio.sleep(LOOK_S)
            still = 0 if offers else still + 1
            if still == LOADED_LOOKS:
                return
        raise TimeoutError("the thread was never loaded whole")

    async def to_middle(self) -> None:
        """Stand in the middle of the thread, the mouse over it."""
        await self.page.mouse.move(VIEW["width"] / 2, VIEW["height"] / 2)
        await self.page.evaluate(TO_MIDDLE)

    async def held(self) -> Held:
        """What it holds; collects its garbage first."""
        for _ in range(2):  # what the first round frees may have held more
            await self._tools.send("HeapProfiler.collectGarbage")
            await asyncio.sleep(0.2)
        usage = await self._tools.send("Runtime.getHeapUsage")
        counters = await self._tools.send("Memory.getDOMCounters")
        return Held(int(usage["usedSize"]), int(counters["nodes"]), int(counters["jsEventListeners"]))


@asynccontextmanager
async def visitor(address: str) -> AsyncIterator[Visitor]:
    """A browser of its own with one tab at that address. Its times are CPU times, which other processes do not stretch."""
    async with Chromium() as chromium:
        assert chromium.browser is not None
        context = await chromium.browser.new_context(viewport=VIEW, reduced_motion="reduce", locale="en")
        page = await context.new_page()
        tools = await context.new_cdp_session(page)
        await tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        await page.goto(address, wait_until="load")
        yield Visitor(page, tools, await chromium.browser.new_browser_cdp_session())
