"""The plugins and their sources on the page of settings, in headless Chromium. See `test_browser`
for what fails it besides."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from finora import Scope
from pages.conftest import Served, Visitor, sign_in
from pages.looks import FAINT, NAMELESS
from pages.test_browser import to


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_source_says_how_it_fares_and_what_it_needs(
    served: Served, visitor: Visitor, own: Scope, width: int, scheme: str
) -> None:
    page = sign_in(served, visitor(width, scheme), own)
    to(page, "/settings")
    plugins = page.get_by_role("region", name="Plugins").first
    row = plugins.get_by_role("row").filter(has=page.get_by_role("rowheader", name="finnhub"))
    expect(row).to_contain_text("needs FINORA_PLUGIN_FINNHUB_KEY")
    ready = plugins.get_by_role("row").filter(has=page.get_by_role("rowheader", name="ecb"))
    expect(ready).to_contain_text("ready")
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("LOOK"):
        at = Path(folder) / f"plugins-{scheme}-{width}.png"
        page.locator("section[aria-labelledby=plugins-title]").screenshot(path=at)
        page.screenshot(path=Path(folder) / f"settings-{scheme}-{width}.png", full_page=True)
