"""Rooms on the page: several people, several tabs, the menu, the debug panel, trouble."""

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage, Served
from tests.browser.pages import address, card, expect_count, facts, read_menu

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_two_pages_and_a_third_tab(server: Served, open_page: OpenPage) -> None:
    """000-8, 000-9, 001-6, T0.1: users are people, not tabs; the menu is right after join, leave and a tab's close."""
    ada = await open_page(address(server.url, "tabs", user="ada", name="Ada"))
    await expect_count(ada, "tabs", 1, 1)
    bob = await open_page(address(server.url, "tabs", user="bob", name="Bob"))
    for page in (ada, bob):
        await expect_count(page, "tabs", 2, 2)
    assert await read_menu(ada, "tabs") == ("2", ["Ada", "Bob"])

    tab = await open_page(address(server.url, "tabs", user="ada", name="Ada"), context=ada.context)
    await expect_count(bob, "tabs", 2, 3)
    await tab.close()
    await expect_count(bob, "tabs", 2, 2)
    assert await read_menu(bob, "tabs") == ("2", ["Ada", "Bob"])

    await card(bob, "tabs").get_by_role("button", name="Leave").click()
    await expect_count(ada, "tabs", 1, 1)
    assert await read_menu(ada, "tabs") == ("1", ["Ada"])
    assert server.names("tabs") == ["Ada"]

    await bob.reload()
    await open_page(address(server.url, "tabs", user="bob", name="Bob"), context=bob.context)
    await expect_count(ada, "tabs", 2)
    await bob.context.close()
    await expect_count(ada, "tabs", 1, 1)
    assert await read_menu(ada, "tabs") == ("1", ["Ada"])


async def test_the_menu_asks_the_endpoint_on_every_open(server: Served, open_page: OpenPage) -> None:
    """000-9: no local state."""
    page = await open_page(address(server.url, "menu", user="ada", name="Ada"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "participants" in request.url else None)
    for times in (1, 2, 3):
        assert await read_menu(page, "menu") == ("1", ["Ada"])
        assert asked == [f"{server.url}/api/chatroom/menu/participants"] * times


@pytest.mark.expect_console("503|ERR_FAILED")
async def test_a_menu_that_cannot_be_read_is_not_empty(server: Served, open_page: OpenPage) -> None:
    """000-11, T0.7."""
    page = await open_page(address(server.url, "unread", user="ada", name="Ada"))
    await page.route("**/participants", lambda route: route.abort())
    await card(page, "unread").get_by_role("button", name="Participants").click()
    menu = page.get_by_role("dialog", name="Participants")
    await expect(menu.get_by_role("status")).to_contain_text("cannot be read")
    await expect(menu.locator("[data-fact=menu-count]")).to_have_text("–")


async def test_rooms_of_any_name(server: Served, open_page: OpenPage) -> None:
    """X1, T0.8."""
    rooms = ["a/b", "{x}:*?[", "غرفة 🐘", "50%"]
    page = await open_page(address(server.url, *rooms, user="ada", name="Ada"))
    for room in rooms:
        await expect_count(page, room, 1)
        assert await read_menu(page, room) == ("1", ["Ada"])


async def test_several_rooms_side_by_side(server: Served, open_page: OpenPage) -> None:
    """T1.10, X6: leaving one leaves the others alone."""
    page = await open_page(address(server.url, "one", "two", user="ada", name="Ada"))
    await page.get_by_label("Name of a room").fill("three")
    await page.keyboard.press("Enter")
    for room in ("one", "two", "three"):
        await expect_count(page, room, 1)
    boxes = [await card(page, room).bounding_box() for room in ("one", "two")]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"]
    await card(page, "two").get_by_role("button", name="Leave").click()
    await expect(card(page, "two")).to_have_count(0)
    assert server.names("two") == []
    assert server.names("one") == server.names("three") == ["Ada"]
    await page.reload()
    for room in ("one", "three"):
        await expect_count(page, room, 1)


async def test_a_new_name_is_everybodys(server: Served, open_page: OpenPage) -> None:
    """T0.4: a new name is no new participant."""
    ada = await open_page(address(server.url, "names", user="ada", name="Ada"))
    bob = await open_page(address(server.url, "names", user="bob", name="Bob"))
    await ada.get_by_label("Your name").fill("Ada L.")
    await ada.get_by_label("Your name").press("Enter")
    await expect(card(bob, "names").locator(".feed")).to_contain_text("Ada L. changed")
    assert await read_menu(bob, "names") == ("2", ["Ada L.", "Bob"])


async def test_the_debug_panel_says_what_the_api_says(server: Served, open_page: OpenPage) -> None:
    """002-3: connection, transport, node, position, count, last update, state, events with latency."""
    ada = await open_page(address(server.url, "debug", user="ada", name="Ada"))
    await open_page(address(server.url, "debug", user="bob", name="Bob"))
    await expect_count(ada, "debug", 2, 2)
    told = server.get("/api/chatroom/debug/count")
    await expect(ada.locator("[data-fact=seq]")).to_have_text(f"{told['seq']:,}")
    shown = await facts(ada)
    assert (shown["connection"], shown["transport"], shown["node"]) == ("connected", "websocket", "one")
    assert (shown["epoch"], shown["count"], shown["connections"]) == (told["epoch"], "2", "2")
    assert (told["count"], told["connections"]) == (2, 2)
    assert shown["updated"] != "–"
    tree = ada.get_by_role("group", name="State")
    await tree.get_by_text("participants").click()
    await tree.locator("details details summary", has_text="1").click()
    await expect(tree).to_contain_text('username: "Bob"')
    events = ada.get_by_role("region", name="Last events")
    await expect(events).to_contain_text("room:diff")
    latency = await events.locator("tr", has_text="join_room").locator("td").last.inner_text()
    assert latency.endswith(" ms")


async def test_a_dropped_network_comes_back_within_grace(server: Served, open_page: OpenPage) -> None:
    """001-1, 003-7, T0.2: gone for a moment is not gone."""
    ada = await open_page(address(server.url, "patient", user="ada", name="Ada"))
    bob = await open_page(address(server.url, "patient", user="bob", name="Bob"))
    await expect_count(bob, "patient", 2)
    await ada.get_by_role("button", name="Drop the network").click()
    await expect(ada.locator("[data-fact=connection]")).to_have_text("dropped")
    await expect(card(ada, "patient").locator("[data-fact=status]")).to_have_text("reconnecting")
    members = server.get("/api/chatroom/patient/participants?view=full")["users"]
    assert [(member["username"], member["status"]) for member in members] == [("Ada", "away"), ("Bob", "online")]
    await ada.get_by_role("button", name="Bring the network back").click()
    await expect(card(ada, "patient").locator("[data-fact=status]")).to_have_text("online")
    members = server.get("/api/chatroom/patient/participants?view=full")["users"]
    assert [(member["username"], member["status"]) for member in members] == [("Ada", "online"), ("Bob", "online")]
    await expect_count(bob, "patient", 2)
    await expect(ada.get_by_role("alertdialog")).to_be_hidden()


async def test_fifty_bots_shift_nothing(server: Served, open_page: OpenPage, figure: Callable[[str], None]) -> None:
    """001-2, 001-11: the count follows; no layout shift while it changes; all leave again."""
    page = await open_page(address(server.url, "crowd", user="ada", name="Ada"))
    await expect_count(page, "crowd", 1)
    await page.evaluate(
        """() => {
          window.shifts = [];
          const name = ({ node }) => node?.outerHTML?.slice(0, 80) ?? String(node?.textContent);
          const told = ({ value, sources }) => [value, sources.map(name).join(' + ')];
          new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map(told)))
            .observe({ type: 'layout-shift' });
        }"""
    )
    await page.get_by_role("button", name="50 bots").click()
    await expect(card(page, "crowd").locator("[data-fact=count]")).to_have_text("51", timeout=15000)
    assert server.get("/api/chatroom/crowd/count")["count"] == 51
    await page.get_by_role("button", name="Send 50 bots home").click()
    await expect(card(page, "crowd").locator("[data-fact=count]")).to_have_text("1", timeout=15000)
    await asyncio.sleep(0.2)
    shifts: list[tuple[float, str]] = await page.evaluate("window.shifts")
    figure(f"layout shift {sum(shift for shift, _ in shifts):.4f} while 50 came and went")
    assert shifts == []
