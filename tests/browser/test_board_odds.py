"""The board when things go wrong: what cannot be taken, who is put out, two hands at one thing."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, Served
from tests.browser.pages import address, card

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def add(page: Page, text: str) -> None:
    await page.get_by_label("New note").fill(text)
    await page.keyboard.press("Enter")


async def test_whoever_is_out_of_the_board_sees_it_and_the_way_back(server: Served, open_page: OpenPage) -> None:
    """Left by the room's card, kicked, refused."""
    page = await open_page(
        f"{address(server.url, 'retro:out', user='ada', name='Ada', view='rooms')}".replace("#", "&board=out#")
    )
    status, again = (
        page.locator("[data-fact=board-status]"),
        page.locator(".board-bar").get_by_role("button", name="Join again"),
    )
    await page.get_by_role("tab", name="Board").click()
    await expect(status).to_have_text("online")
    await page.get_by_role("tab", name="Rooms").click()
    await card(page, "retro:out").get_by_role("button", name="Leave").click()
    await page.get_by_role("tab", name="Board").click()
    await expect(status).to_have_text("left")
    await again.click()
    await expect(status).to_have_text("online")
    await expect(again).to_be_hidden()

    server.post("/api/chatroom/retro:out/kick", {"userId": "ada"})
    await page.get_by_role("alertdialog").get_by_role("button", name="OK").click()
    await expect(status).to_have_text("removed")
    assert await page.locator(".note-bar").evaluate("(bar) => bar.inert")
    await again.click()
    await expect(status).to_have_text("online")
    await add(page, "Back")
    await expect(page.locator(".note")).to_have_count(1)

    await page.goto(f"{server.url}/?rooms=&board={'x' * 123}&user=ada&name=Ada#board")
    await page.reload()
    await expect(status).to_have_text("refused")
    await expect(page.locator(".board > .typing")).to_contain_text("UTF-8 bytes")
