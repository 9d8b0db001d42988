"""The page comes up, from its own server alone and within its own policy."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import Visitors
from tests.support.serving import Server


@pytest.mark.parametrize("path", ["/", "/inbox", "/activity"])
async def test_the_page_loads_from_its_own_server_alone(page_of: Visitors, server: Server, path: str) -> None:
    """Every address of the app comes up with its title and its content, asking no other host and violating no policy."""
    page = await page_of(server, path)
    await expect(page.locator("#root > *").first).to_be_attached()
    assert "Holdfast" in await page.title()
    assert page_of.watch.hosts == {f"127.0.0.1:{server.port}"}


async def test_a_policy_violated_is_seen(page_of: Visitors, server: Server) -> None:
    """The tests would notice: an inline script, a string made HTML and a picture from elsewhere are refused, and recorded."""
    page = await page_of(server)
    await page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.append("window.ran = true");
          document.head.append(script);
          new Image().src = "http://elsewhere.example/x.png";
        }"""
    )
    with pytest.raises(Exception, match="TrustedHTML"):
        await page.evaluate("() => { document.body.innerHTML = '<p>made</p>'; }")
    assert await page.evaluate("() => window.ran") is None
    assert any("elsewhere.example" in line for line in page_of.watch.wrongs)
    page_of.watch.expect("Content Security Policy|TrustedHTML|TrustedScript|elsewhere")
