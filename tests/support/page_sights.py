"""What tests look for on a page beside what people see: what must not be in it, and whom it would shut out.

await guard(context)                       # before its pages are opened
await unharmed(page)                       # nothing foreign ran, or stood in it for a moment
assert await axe(page) == []               # nobody is shut out
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.support.page_wire import Wire
from tests.support.page_words import ChatPage

WEB: Final = Path(__file__).resolve().parents[2] / "web"
AXE: Final = WEB / "node_modules" / "axe-core" / "axe.min.js"
LONG_MS: Final = 15_000  # a whole answer, on a busy machine

# Runs in every frame before anything else: whoever gets to run code calls one of these.
CANARY: Final = """
  window.alert = window.confirm = window.prompt = () => { window.ranForeignCode = true; };
"""

# Looks at everything as it is put into the document, not only at what is left in the end.
LOOKOUT: Final = r"""
  window.suspicious = [];
  const addresses = /^(?:https?:\/\/|mailto:|\/(?![\/\\])|#)/i;
  const tell = (element, what) => {
    if (window.suspicious.length < 50) window.suspicious.push(`${element.outerHTML.slice(0, 200)}: ${what}`);
  };
  window.look = (element) => {
    const name = element.localName;
    if (/^(script|object|embed|link|style|meta|base|template|video|audio|source|foreignobject|applet|frame)$/i.test(name))
      tell(element, "such an element");
    if (name === "iframe" && (element.getAttribute("src") !== "/diagram.html" || element.getAttribute("sandbox") !== "allow-scripts"))
      tell(element, "a frame that is not the diagram's");
    if (name === "img" && !/^data:image\/(?:png|jpeg|gif|webp|avif);base64,/.test(element.getAttribute("src") ?? ""))
      tell(element, "a picture from elsewhere");
    for (const { name: attribute, value } of element.attributes) {
      if (/^(on|srcdoc|srcset|formaction|ping|background|action$)/i.test(attribute)) tell(element, attribute);
      if (/(^|:)href$/i.test(attribute) && !addresses.test(value)) tell(element, attribute);
      if (/(^|:)href$/i.test(attribute) && /^https?:/.test(value) && !/noopener/.test(element.getAttribute("rel") ?? ""))
        tell(element, "a link that hands over its opener");
    }
  };
  window.lookAll = () => { for (const one of document.querySelectorAll("body *")) window.look(one); };
  document.addEventListener("DOMContentLoaded", () => {
    window.lookAll();
    new MutationObserver((changes) => {
      for (const change of changes) {
        if (change.type === "attributes") window.look(change.target);
        for (const node of change.addedNodes)
          if (node.nodeType === 1) { window.look(node); for (const one of node.querySelectorAll("*")) window.look(one); }
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
"""


def corpus() -> list[str]:
    """The answers that try to run, fetch or deceive; the page's own unit tests try them as well."""
    found: list[str] = json.loads((WEB / "src" / "app" / "answer" / "xss.json").read_text("utf-8"))
    return found


async def guard(context: BrowserContext) -> None:
    """Every page of this visitor notes what must not be in it, at every moment; `unharmed` reads it."""
    await context.add_init_script(CANARY + LOOKOUT)


async def unharmed(page: Page) -> None:
    """Fails if anything foreign ran, or if anything stood in the document, ever, that must not stand there."""
    await page.evaluate("() => window.lookAll()")
    assert await page.evaluate("() => window.suspicious") == []
    for frame in page.frames:
        assert await frame.evaluate("() => window.ranForeignCode === true") is False, frame.url


async def axe(page: Page, *, only: str = "") -> list[str]:
    """What axe finds wrong (by the rule `only`, or by all), one line each; empty where nothing is. It is put in past the
    page's policy, as an extension is."""
    if not await page.evaluate("() => 'axe' in window"):
        session = await page.context.new_cdp_session(page)
        await session.send("Runtime.evaluate", {"expression": AXE.read_text("utf-8")})
        await session.detach()
    found: list[dict[str, Any]] = await page.evaluate(
        """async (only) => (await axe.run("body", {
          iframes: false, resultTypes: ["violations"], ...(only && { runOnly: [only] }),
        })).violations""",
        only,
    )
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} … {node['failureSummary']}".replace("\n", " ")
        for one in found
        for node in one["nodes"][:4]
    ]


def person(page: Page) -> ChatPage:
    """The page as the tests speak of it."""
    return ChatPage(page, Wire(page))


def said(page: Page) -> Locator:
    """The notices at the edge of the screen."""
    return page.get_by_role("region", name="Notices")


async def stands(me: ChatPage, status: str) -> None:
    """Returns once the last answer stands like this: `running`, `waiting`, `completed`."""
    await expect(me.answer).to_have_attribute("data-status", status, timeout=LONG_MS)
