"""Pages that are left by a link and kept by the browser, frozen, for the way back."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.conftest import ARGUMENTS, Served
from tests.browser.pages import address, card, expect_count

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def keeping_browser(chromium_path: str) -> AsyncIterator[Browser]:
    """One with a back-forward cache, which the driver turns off otherwise."""
    options: dict[str, Any] = {"args": list(ARGUMENTS), "ignore_default_args": ["--disable-back-forward-cache"]}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, **options)
        yield browser
        await browser.close()


async def test_who_left_the_page_is_gone_and_back_with_it(server: Served, keeping_browser: Browser) -> None:
    """000-8: after the grace, as with a closed tab; back within it the room goes on, later it says that one was out."""
    page = await keeping_browser.new_page()
    page.set_default_timeout(8000)
    await page.goto(address(server.url, "kept", "patient", user="bea", name="Bea"))
    for room in ("kept", "patient"):
        await expect_count(page, room, 1)
    await page.evaluate("addEventListener('pageshow', ({ persisted }) => { window.kept = persisted; })")
    watching = await keeping_browser.new_page()
    await watching.goto(address(server.url, "kept", user="ada", name="Ada"))
    await expect_count(watching, "kept", 2)

    await page.goto(f"{server.url}/admin")
    await expect_count(watching, "kept", 1)
    members = server.get("/api/chatroom/patient/participants?view=full")["users"]
    assert [(member["username"], member["status"]) for member in members] == [("Bea", "away")]

    await page.evaluate("history.back()")
    await expect(card(page, "patient").locator("[data-fact=status]")).to_have_text("online")
    assert await page.evaluate("window.kept") is True
    await expect(card(page, "kept").locator("[data-fact=status]")).to_have_text("removed")
    await expect_count(page, "patient", 1)
