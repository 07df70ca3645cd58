"""Being put out: kicked, expired, the server killed. One popup, titled, naming its room, with the documents' texts."""

from collections.abc import Callable

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, Served
from tests.browser.pages import address, card, expect_count, read_menu

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

POPUP = "You are not in the chatroom"
INACTIVE = "You have been logged out due to inactivity (6+ hours without activity)"


async def expect_popup(page: Page, *rooms: str, message: str | None = None) -> None:
    dialog = page.get_by_role("alertdialog", name="Session Expired")
    await expect(dialog).to_be_visible()
    entries = dialog.get_by_role("listitem")
    await expect(entries).to_have_count(len(rooms))
    for room in rooms:
        entry = entries.filter(has=page.get_by_text(room, exact=True))
        await expect(entry.get_by_text(POPUP, exact=True)).to_be_visible()
        if message:
            await expect(entry.get_by_text(message, exact=True)).to_be_visible()


async def test_a_kick_ends_one_room_of_several(server: Served, open_page: OpenPage) -> None:
    """001-10, T0.7, T1.10: the popup names the room; the other room goes on; the way back is a button."""
    page = await open_page(address(server.url, "left", "stays", user="kit", name="Kit"))
    await expect_count(page, "left", 1)
    server.post("/api/chatroom/left/kick", {"userId": "kit"})
    await expect_popup(page, "left")
    await expect(card(page, "left").locator("[data-fact=status]")).to_have_text("removed")
    await expect(card(page, "left").locator("[data-fact=count]")).to_have_text("–")
    await expect_count(page, "stays", 1)
    assert server.names("left") == []
    await page.get_by_role("alertdialog").get_by_role("button", name="Join again").click()
    await expect(page.get_by_role("alertdialog")).to_be_hidden()
    await expect_count(page, "left", 1)


async def test_whoever_stops_beating_expires(new_server: Callable[..., Served], open_page: OpenPage) -> None:
    """001-2, 001-7, 003-6, 003-8, 003-9: out of the list, the count and the menu; the server's own words."""
    server = new_server(PRESENCE_TTL="2", PRESENCE_HEARTBEAT_INTERVAL="0.5")
    ada = await open_page(address(server.url, "short", user="ada", name="Ada"))
    bob = await open_page(address(server.url, "short", user="bob", name="Bob"))
    await expect_count(ada, "short", 2)
    await bob.get_by_role("button", name="Stop beating").click()
    await expect_popup(bob, "short", message=INACTIVE)
    await expect_count(ada, "short", 1, 1)
    assert await read_menu(ada, "short") == ("1", ["Ada"])
    await expect(card(ada, "short").locator(".feed")).to_contain_text("Bob is gone: was inactive")
    await expect(ada.get_by_role("alertdialog")).to_be_hidden()


@pytest.mark.expect_console("ERR_CONNECTION_REFUSED|WebSocket connection|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET")
async def test_a_killed_server_and_its_restart(new_server: Callable[..., Served], open_page: OpenPage) -> None:
    """001-8, 001-11, T1.7, 002-4, 002-8: the list is empty and says so with a popup; the board is back as it was."""
    server = new_server()
    ada = await open_page(address(server.url, "home", "work", user="ada", name="Ada"))
    bob = await open_page(address(server.url, user="bob", name="Bob", view="board"), wait=False)
    await expect(bob.locator("[data-fact=board-status]")).to_have_text("online")
    await bob.get_by_role("button", name="Lay out some samples").click()
    await expect(bob.locator(".note")).to_have_count(6)
    await bob.get_by_label("New action item").fill("Write it down")
    await bob.get_by_role("button", name="Add", exact=True).click()
    await expect(bob.locator(".actions li")).to_have_count(1)
    before = server.get("/api/retro/demo/state")

    server.kill()
    await expect(ada.locator("[data-fact=connection]")).to_have_text("connecting")
    server.start()
    await expect_popup(ada, "home", "work")
    assert server.names("home") == server.names("work") == []
    await ada.get_by_role("button", name="OK").click()
    assert await read_menu(ada, "home") == ("0", [])
    await card(ada, "home").get_by_role("button", name="Join again").click()
    await expect_count(ada, "home", 1)
    assert await read_menu(ada, "home") == ("1", ["Ada"])

    await expect(bob.locator("[data-fact=board-status]")).to_have_text("online")
    await expect(bob.locator("[data-fact=board-count]")).to_have_text("1")
    await expect(bob.get_by_role("alertdialog")).to_be_hidden()
    after = server.get("/api/retro/demo/state")
    kept = ("itemPositions", "itemGroups", "signatureColors", "actionItems", "allUserVotes", "version", "lastUpdated")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    await bob.reload()
    await expect(bob.locator(".note")).to_have_count(6)
    await expect(bob.locator(".actions .task")).to_have_text("Write it down")
