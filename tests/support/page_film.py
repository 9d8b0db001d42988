"""What a page showed, painted frame by painted frame: the last answer's words, and where the thread was scrolled to.

A film begins with the document, so that the first frame after a reload is on it, and ends with it: look at it before the
page goes. Words are kept without the white space between them, which Markdown sets as it likes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from playwright.async_api import Page

FRAMES_MAX = 4_000  # of those that differ: a minute at 60 a second

# What stands where an answer will be; it is no part of it.
_PENDING = r"^(Thinking|Sending|Not sent yet|Next in line|Waits for .*|It is next.*|\d+ (is|are) before it.*|It waits for a decision\.)$"

CAMERA = (
    r"""
(() => {
  if (window.film) return;
  const film = (window.film = { frames: [], left_out: 0 });
  const pending = new RegExp(String.raw`"""
    + _PENDING
    + r"""`);
  const apart = (node) => node.parentElement.closest("h2, footer, button, [aria-hidden=true], [role=toolbar]");
  window.saidIn = (article) => {
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
    const words = [];
    while (walker.nextNode()) if (!apart(walker.currentNode)) words.push(walker.currentNode.data);
    const said = words.join("").trim();
    return pending.test(said) ? "" : said.replace(/\s+/g, "");
  };
  window.answersShown = () => [...document.querySelectorAll("[role=log] [role=article][aria-label^=Answer]")];
  const look = () => {
    const log = document.querySelector("[role=log]");
    const answer = window.answersShown().at(-1);
    const frame = {
      path: location.pathname,
      answer: answer?.closest("[data-row]")?.dataset.row ?? "",
      said: answer ? window.saidIn(answer) : "",
      top: log?.scrollTop ?? 0,
      height: log?.scrollHeight ?? 0,
      view: log?.clientHeight ?? 0,
    };
    const last = film.frames.at(-1);
    if (last && Object.keys(frame).every((key) => frame[key] === last[key])) return;
    if (film.frames.length < """
    + str(FRAMES_MAX)
    + r""") film.frames.push(frame);
    else film.left_out += 1;
  };
  // An observer tells of what it has just begun to observe once this frame is laid out, and the newest one comes last: after
  // it the frame is painted as it is. Looking at any other time would see what nobody sees.
  const next = () => {
    const laidOut = new ResizeObserver(() => {
      laidOut.disconnect();
      look();
    });
    laidOut.observe(document.documentElement);
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  // What is copied is given to the test, whatever this machine's clipboard allows.
  if (navigator.clipboard) navigator.clipboard.writeText = async (text) => void (window.copied = text);
})();
"""
)


class Shot(NamedTuple):
    """One painted frame that differs from the one before it."""

    path: str
    answer: str  # the id of the last answer on screen; "" for none
    said: str  # its words, without white space
    top: float
    height: float
    view: float

    @property
    def below(self) -> float:
        """How much of the thread lies below what is in view, in pixels."""
        return self.height - self.top - self.view


async def film_of(page: Page) -> list[Shot]:
    """The frames since the document began.

    Raises: AssertionError where there were more than the film holds.
    """
    film = await page.evaluate("() => window.film")
    assert film["left_out"] == 0, "the film was too short"
    return [Shot(**frame) for frame in film["frames"]]


def bare(text: str) -> str:
    """A text as films have it."""
    return re.sub(r"\s+", "", text)


def assert_only_grew(film: list[Shot], whole: str) -> None:
    """At no frame did the answer show anything but a beginning of `whole`, and never less than in the frame before."""
    whole, last = bare(whole), ""
    for shot in film:
        assert whole.startswith(shot.said), f"not a beginning of the answer: …{shot.said[-80:]!r}"
        assert len(shot.said) >= len(last), f"shrank from {len(last)} to {len(shot.said)} characters"
        last = shot.said
