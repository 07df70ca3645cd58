"""The documents' own snippets in real React, in the browser, against a real server."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, Served
from tests.browser.react_pages import open_snippets

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def scene(open_page: OpenPage, server: Served, name: str, user: int, *, clock: bool = False) -> Page:
    page = await open_page("about:blank", wait=False, bypass_csp=True)
    if clock:
        await page.clock.install()
    await open_snippets(page, f"{server.url}/healthz?scene={name}&user={user}")
    return page


async def test_join_menu_heartbeat_and_force_leave(server: Served, open_page: OpenPage) -> None:
    """000-5, 000-9, 003-4, 003-8, 003-13, T3.4: numbers as ids; one beat at once, none by rendering, one after 25 s."""
    one = await scene(open_page, server, "chat", 41, clock=True)
    two = await scene(open_page, server, "chat", 42)
    menu = two.locator("#menu")
    for page in (one, two):
        await expect_beats(page, 1)
    await menu.get_by_role("button").click()
    await expect(menu).to_contain_text("2: user 41, user 42")
    for _ in range(10):
        await one.evaluate("renderAgain()")
    await expect_beats(one, 1)
    await one.clock.fast_forward(25_000)
    await expect_beats(one, 2)

    server.post("/api/chatroom/15/kick", {"userId": 41})
    popup = one.get_by_role("alertdialog")
    await expect(popup).to_contain_text("Session Expired")
    await expect(popup).to_contain_text("You are not in the chatroom")
    await one.evaluate("renderAgain()")
    await one.clock.fast_forward(25_000)
    assert await one.evaluate("[popups, times('room:heartbeat')]") == [1, 2]
    await menu.get_by_role("button").click()
    await expect(menu).to_contain_text("1: user 42")

    await two.evaluate("unmount()")
    await expect(two.locator("#menu")).to_have_count(0)
    assert await two.evaluate("times('leave_room')") == 1
    assert server.get("/api/chatroom/15/participants") == {"count": 0, "users": []}


async def expect_beats(page: Page, times: int) -> None:
    for _ in range(40):
        if await page.evaluate("times('room:heartbeat')") == times:
            return
        await page.evaluate("new Promise((resolve) => requestAnimationFrame(resolve))")
    assert await page.evaluate("times('room:heartbeat')") == times


async def test_live_presence_in_strict_mode(server: Served, open_page: OpenPage) -> None:
    """003-8, T3.4: two components and StrictMode's double mount are one join; unmounting leaves."""
    one = await scene(open_page, server, "live", 51)
    await expect(one.locator("#live").first).to_have_text("online 1 user 51")
    assert await one.evaluate("times('join_room')") == 1
    two = await scene(open_page, server, "live", 52)
    for page in (one, two):
        await expect(page.locator("#live").last).to_have_text("online 2 user 51, user 52")
    await one.get_by_role("button").first.click()
    await expect(one.locator("#opened").first).to_have_text("2: user 51, user 52")
    await two.evaluate("unmount()")
    await expect(one.locator("#live").first).to_have_text("online 1 user 51")
    assert await two.evaluate("times('leave_room')") == 1


async def test_the_reducers_of_the_chat(server: Served, open_page: OpenPage) -> None:
    """004-2, 004-7, 004-13, T4.4, C20: the usual reducers end with unread exactly 1; a click fills the window."""
    page = await scene(open_page, server, "inbox", 61)
    await page.wait_for_selector("#inbox", state="attached")
    await expect(page.locator("#inbox li")).to_have_count(0)
    server.post("/messages/incoming", {"phone": "+44 20 7946", "customer_name": "Nell", "content_text": "First"})
    await expect(page.locator("#inbox li")).to_have_text(["Nell (1) First"])
    server.post("/messages/incoming", {"phone": "+44 20 7946", "content_text": "Second"})
    await expect(page.locator("#inbox li")).to_have_text(["Nell (2) Second"])
    await page.locator("#inbox li").click()
    await expect(page.locator("#window li")).to_have_text(["First", "Second"])
    server.post("/messages/incoming", {"phone": "+44 20 7946", "content_text": "Third"})
    await expect(page.locator("#window li")).to_have_text(["First", "Second", "Third"])
    await expect(page.locator("#inbox li")).to_have_text(["Nell (0) Third"])


async def test_the_hook_of_the_board(server: Served, open_page: OpenPage) -> None:
    """002-3: state, connection, senders; another page sees the move."""
    one, two = [await scene(open_page, server, "board", user) for user in (71, 72)]
    for page in (one, two):
        await expect(page.locator("#board")).to_have_text("true {}")
    await one.get_by_role("button", name="Move").click()
    for page in (one, two):
        await expect(page.locator("#board")).to_have_text('true {"item-1":{"x":5,"y":7}}')
