"""The user's name: as long as the server takes it, the same on every reload, never a way to be shut out."""

import re

import pytest
from playwright.async_api import Locator, WebSocketRoute, expect

from tests.browser.conftest import OpenPage, Served
from tests.browser.pages import address, card, expect_count

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

UNAVAILABLE = '[{"ok":false,"error":{"code":"unavailable","message":"not now","retryable":true}}]'
LONG = "Konstantinopolitanska" * 6


async def test_a_name_is_kept_once_it_was_taken(server: Served, open_page: OpenPage) -> None:
    page = await open_page(address(server.url, "kept-names", user="nia", name="Nia"))
    field = page.get_by_label("Your name")
    await field.fill("名" * 50)
    await field.press("Enter")
    assert "Too long by 22 bytes" in await field.evaluate("(field) => field.validationMessage")
    await field.fill("名" * 42)
    await field.press("Enter")
    await expect(card(page, "kept-names").locator(".feed")).to_contain_text("名名 changed")
    await page.reload()
    await expect(field).to_have_value("名" * 42)
    await expect_count(page, "kept-names", 1)

    await page.get_by_role("button", name="Drop the network").click()
    await field.fill("Nia L.")
    await field.press("Enter")
    await page.get_by_role("button", name="Bring the network back").click()
    await expect(card(page, "kept-names").locator(".feed")).to_contain_text("Nia L. changed")
    assert server.names("kept-names") == ["Nia L."]
    await page.reload()
    await expect(field).to_have_value("Nia L.")


async def test_a_name_that_was_refused_can_be_mended(server: Served, open_page: OpenPage) -> None:
    page = await open_page(address(server.url, "mended", user="oda", name="名" * 50), wait=False)
    field = page.get_by_label("Your name")
    await expect(page.locator(".line")).to_have_text("closed")
    await field.fill("Oda")
    await field.press("Enter")
    await expect_count(page, "mended", 1)
    assert server.names("mended") == ["Oda"]


async def test_a_name_that_the_store_takes_late_is_kept_too(server: Served, open_page: OpenPage) -> None:
    page = await open_page("about:blank", wait=False)
    refused: list[str] = []

    def between(line: WebSocketRoute) -> None:
        onward = line.connect_to_server()

        def sent(message: str | bytes) -> None:
            update = re.match(r'42(\d+)\["room:update"', str(message))
            if update and not refused:
                refused.append(update[1])
                line.send(f"43{update[1]}{UNAVAILABLE}")
            else:
                onward.send(message)

        line.on_message(sent)

    await page.route_web_socket("**/socket.io/**", between)
    await page.goto(address(server.url, "late", user="lea", name="Lea"))
    await expect_count(page, "late", 1)
    await page.get_by_label("Your name").fill("Lea L.")
    await page.keyboard.press("Enter")
    await expect(card(page, "late").locator(".feed")).to_contain_text("Lea L. changed")
    assert len(refused) == 1
    await page.reload()
    await expect(page.get_by_label("Your name")).to_have_value("Lea L.")


async def right(element: Locator) -> float:
    box = await element.bounding_box()
    assert box is not None
    return box["x"] + box["width"]


@pytest.mark.parametrize("width", [360, 1280])
async def test_long_names_stretch_nothing(server: Served, open_page: OpenPage, width: int) -> None:
    room = f"team-{'quarterly-planning-' * 5}{width}"
    url = address(server.url, room, user=f"long-{width}", name=LONG).replace("#", f"&board=long-{width}#")
    page = await open_page(url, viewport={"width": width, "height": 800})
    other = await open_page(url.replace("user=long", "user=other"))
    await other.get_by_role("tab", name="Board").click()
    assert await right(card(page, room).get_by_role("button", name="Leave")) < await right(card(page, room))
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    await page.get_by_role("tab", name="Board").click()
    await expect(page.locator("[data-fact=board-status]")).to_have_text("online")
    await page.get_by_label("New note").fill("Unbreakable" * 9)
    await page.keyboard.press("Enter")
    await page.get_by_label("New action item").fill("Do it")
    await page.get_by_role("button", name="Add", exact=True).click()
    actions = page.get_by_role("region", name="Action items")
    assert await right(page.get_by_role("button", name="Add", exact=True)) < await right(actions)
    await expect(page.locator(".actions .task")).to_have_text("Do it")
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    await other.get_by_label("New note").press_sequentially("Hm")
    await expect(page.get_by_text("is writing a note…")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == width
