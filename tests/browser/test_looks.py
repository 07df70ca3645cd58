"""For everyone: light and dark, narrow and wide, with keyboard and screen reader."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import ADMIN_TOKEN, OpenPage, Served
from tests.browser.pages import address, card, expect_count

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


async def faults(page: Page) -> list[Any]:
    """What axe finds serious or critical, or has two landmarks of one name, with the elements."""
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"} or one["id"] == "landmark-unique"
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_serious_findings(server: Served, open_page: OpenPage, scheme: str, tmp_path: Path) -> None:
    """000-9, 001-10, 002-3: every view and both dialogs."""
    room = f"axe-{scheme}"
    server.post("/messages/incoming", {"phone": "+49 30 999", "customer_name": "Axel", "content_text": "Hi"})
    page = await open_page(address(server.url, room, user=f"ada-{scheme}", name="Ada"), color_scheme=scheme)
    await expect_count(page, room, 1)
    assert await faults(page) == []
    await card(page, room).get_by_role("button", name="Participants").click()
    await expect(page.get_by_role("dialog", name="Participants")).to_have_attribute("data-loaded", "true")
    assert await faults(page) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("tab", name="Board").click()
    await expect(page.locator("[data-fact=board-status]")).to_have_text("online")
    await page.get_by_label("New note").fill(f"A note in the {scheme}")
    await page.keyboard.press("Enter")
    await expect(page.locator(".note", has_text=scheme)).to_be_visible()
    assert await faults(page) == []
    await page.get_by_role("tab", name="Chat").click()
    await page.locator(".entry", has_text="Axel").click()
    await expect(page.locator(".messages li")).not_to_have_count(0)
    assert await faults(page) == []
    server.post(f"/api/chatroom/{room}/kick", {"userId": f"ada-{scheme}"})
    await expect(page.get_by_role("alertdialog")).to_be_visible()
    assert await faults(page) == []
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(246, 247, 249)", "dark": "rgb(16, 19, 26)"}[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_operators_page_has_none_either(server: Served, open_page: OpenPage, scheme: str) -> None:
    page = await open_page(f"{server.url}/admin", wait=False, color_scheme=scheme)
    await expect(page.get_by_label("Admin token")).to_be_visible()
    assert await faults(page) == []
    await page.get_by_label("Admin token").fill(ADMIN_TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Rooms by size")).to_be_visible()
    await page.get_by_text("As a table").click()
    assert await faults(page) == []


@pytest.mark.parametrize("view", ["rooms", "board", "chat"])
async def test_a_narrow_screen_needs_no_sideways_scrolling(server: Served, open_page: OpenPage, view: str) -> None:
    page = await open_page(
        address(server.url, "narrow", user="ada", name="Ada", view=view), viewport={"width": 390, "height": 844}
    )
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_by_keyboard_alone(server: Served, open_page: OpenPage) -> None:
    """000-9: tabs by arrow keys, a room by Enter, the menu opened, scrolled and closed, the focus back where it was."""
    page = await open_page(address(server.url, "keys", user="ada", name="Ada"))
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "To the content"
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Board")).to_be_focused()
    await expect(page.get_by_role("tabpanel", name="Board")).to_be_visible()
    await page.keyboard.press("Home")
    await expect(page.get_by_role("tabpanel", name="Rooms")).to_be_visible()
    menu = card(page, "keys").get_by_role("button", name="Participants")
    await menu.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Participants")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Participants")).to_be_hidden()
    await expect(menu).to_be_focused()
