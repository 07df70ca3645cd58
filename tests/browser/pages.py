"""The pages as a person finds them: by roles and names, and by the facts they show."""

from typing import Any
from urllib.parse import quote

from playwright.async_api import Locator, Page, expect


def address(url: str, *rooms: str, user: str | None = None, name: str | None = None, view: str = "rooms") -> str:
    """The address of the page for a user in some rooms."""
    named = "".join(f"&{key}={quote(value)}" for key, value in (("user", user), ("name", name)) if value)
    return f"{url}/?rooms={','.join(quote(quote(room, safe=''), safe='') for room in rooms)}{named}#{view}"


def card(page: Page, room: str) -> Locator:
    return page.get_by_role("region", name=room, exact=True)


async def expect_count(page: Page, room: str, users: int, connections: int | None = None) -> None:
    """What "Currently users in the room" says."""
    await expect(card(page, room)).to_contain_text("Currently users in the room")
    await expect(card(page, room).locator("[data-fact=count]")).to_have_text(f"{users:,}")
    if connections is not None:
        told = f"{connections:,} connection{'' if connections == 1 else 's'}"
        await expect(card(page, room).locator(".connections")).to_have_text(told)


async def read_menu(page: Page, room: str) -> tuple[str, list[str]]:
    """Open the participants menu, read it, close it: the number and the names in view."""
    await card(page, room).get_by_role("button", name="Participants").click()
    menu = page.get_by_role("dialog", name="Participants")
    await expect(menu).to_have_attribute("data-loaded", "true")
    number = await menu.locator("[data-fact=menu-count]").inner_text()
    names = await menu.locator(".window-row:not([hidden]) .name").all_inner_texts()
    await menu.get_by_role("button", name="Close").click()
    await expect(menu).to_be_hidden()
    return number, names


async def facts(page: Page) -> dict[str, str]:
    """What the debug panel shows."""
    found: dict[str, Any] = await page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.facts dd')].map((dd) => [dd.dataset.fact, dd.textContent]))"
    )
    return found
