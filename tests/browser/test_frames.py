"""Many answers at once leave the page smooth: what a frame costs its main thread, in CPU time."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

import msgspec
from playwright.async_api import Page, expect

from tests.support.browser import Visitors
from tests.support.page_frames import PageFrame, marked, traced
from tests.support.script import Script, scripted
from tests.support.serving import Server

FRAME_MS = 16
"""A screen with sixty frames a second leaves so much for each."""

CHATS = 20
DELTAS_PER_S = 20

LONG = Script(
    text=" ".join(f"word{number:04}" for number in range(2_400)), delta_chars=9, gap_ms=1000 / DELTAS_PER_S
)
"""An answer that lasts longer than the test."""

BURDEN = 8_000_000
"""Rounds of reckoning: some tens of milliseconds of CPU time on any machine."""

SEEN = (2, 9, 17)
"""Chats that are looked at while they stream, and left again."""

# The same person's other program: it asks many things at once, and goes.
SUBMIT = """texts => new Promise((done) => {
  const socket = new WebSocket(`ws://${location.host}/ws`);
  let left = texts.length;
  socket.onopen = () => texts.forEach((text, at) => socket.send(JSON.stringify({
    type: "submit", ref: at + 1, follow: false,
    request: { request_id: crypto.randomUUID(), chat_id: crypto.randomUUID(), message_id: crypto.randomUUID(), text },
  })));
  socket.onmessage = ({ data }) => {
    if (JSON.parse(data).type === "submitted" && --left === 0) { socket.close(); done(); }
  };
})"""


async def test_twenty_answers_at_once_leave_time_in_every_frame(
    page_of: Visitors, server: Server, tmp_path: Path
) -> None:
    """With 20 chats that stream at once, one on screen, the median frame costs the page's thread under 16 ms, also of those
    frames in which output came, and not a multiple of what one chat alone costs."""
    visitor = await page_of.new()
    await marked(visitor)
    page = await page_of(server, visitor=visitor)
    await _ask(page, 1)
    first = page.url
    alone = await traced(page, tmp_path, seconds=3)
    others = [scripted(f"Chat {number}:", LONG) for number in range(2, CHATS + 1)]
    await page.evaluate(SUBMIT, others)
    chats = page.get_by_role("navigation", name="Chats")
    answer = page.get_by_role("article", name=re.compile("^Answer"))
    for number in (*SEEN, 1):
        await chats.get_by_role("link", name=re.compile(f"^Chat {number}:")).click()
        await expect(answer).to_contain_text("word0003")
    await expect(page).to_have_url(first)
    together = await traced(page, tmp_path, seconds=5)
    await expect(
        chats.get_by_role("link", name=re.compile("running|answering", re.IGNORECASE))
    ).to_have_count(CHATS)
    assert median(frame.work_ms for frame in together) < FRAME_MS
    assert _typical(together) < FRAME_MS
    assert _typical(together) < 3 * _typical(alone) + 2


async def test_a_page_that_is_too_slow_is_seen(page_of: Visitors, server: Server, tmp_path: Path) -> None:
    """The measure would notice: a page that reckons for long over whatever arrives is over the bound, with one answer already."""
    visitor = await page_of.new()
    await marked(visitor, burden=BURDEN)
    page = await page_of(server, visitor=visitor)
    await _ask(page, 1, msgspec.structs.replace(LONG, gap_ms=100))
    assert _typical(await traced(page, tmp_path, seconds=3)) > FRAME_MS


def _typical(frames: list[PageFrame]) -> float:
    """The median work of the frames in which output came: of each and its next one, in which it may be drawn, the dearer."""
    drawn = [
        max(frame.work_ms, after.work_ms)
        for frame, after in zip(frames, [*frames[1:], PageFrame(0, 0)], strict=True)
        if frame.pushes
    ]
    assert len(drawn) >= DELTAS_PER_S / 2, f"output came in {len(drawn)} of {len(frames)} frames only"
    return median(drawn)


async def _ask(page: Page, number: int, script: Script = LONG) -> None:
    """Starts an answer in the chat that is open, and waits for its first words."""
    field = page.get_by_role("textbox", name="Message", exact=True)
    await field.fill(scripted(f"Chat {number}:", script))
    await field.press("Enter")
    await expect(page.get_by_role("article", name=re.compile("^Answer"))).to_contain_text("word0003")
