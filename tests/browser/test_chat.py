"""The inbox: a new customer, a known one, an answer."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, Served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def inbox(open_page: OpenPage, server: Served, user: str) -> Page:
    page = await open_page(f"{server.url}/?rooms=lobby&user={user}&name={user.title()}#chat")
    await expect(page.get_by_role("region", name="Inbox")).to_be_visible()
    return page


async def test_a_new_customer_and_the_next_message(server: Served, open_page: OpenPage) -> None:
    """004-2, 004-7, 004-9, 004-10, 004-13, T4.4, T4.6: named at once, unread 1, then 2; once in the window."""
    page = await inbox(open_page, server, "agent")
    server.post("/messages/incoming", {"phone": "+49 30 111", "customer_name": "Rosa Bloom", "content_text": "Hello"})
    entry = page.locator(".entry", has_text="Rosa Bloom")
    await expect(entry).to_contain_text("Hello")
    await expect(entry.locator(".unread")).to_have_text("1")
    server.post("/messages/incoming", {"phone": "4930111", "content_text": "Anybody there?"})
    await expect(entry.locator(".unread")).to_have_text("2")
    await expect(entry).to_contain_text("Anybody there?")
    await expect(entry).to_have_count(1)

    await entry.click()
    bubbles = page.locator(".messages li p")
    await expect(bubbles).to_have_text(["Hello", "Anybody there?"])
    await expect(entry.locator(".unread")).to_be_hidden()
    server.post("/messages/incoming", {"phone": "4930111", "content_type": "image", "media_type": "image/png"})
    await expect(bubbles).to_have_text(["Hello", "Anybody there?", re.compile(r"\[.+\]")])
    await page.get_by_label("Answer").fill("Yes!")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(bubbles.last).to_have_text("Yes!")
    await expect(page.locator(".messages li").last).to_have_class("agent")
    await expect(entry.locator(".unread")).to_be_hidden()
    room = server.get("/rooms")["data"]["rooms"][0]
    assert (room["unread_count"], room["message_count"], room["last_message_text"]) == (0, 4, "Yes!")


async def test_write_as_a_customer_and_find_it_after_a_reload(server: Served, open_page: OpenPage) -> None:
    """004-13: the page's own form; a second agent sees the same."""
    ada, bob = [await inbox(open_page, server, user) for user in ("ada", "bob")]
    await ada.get_by_label("Phone").fill("+31 20 222")
    await ada.get_by_label("Customer’s name").fill("Piet")
    await ada.get_by_label("Message", exact=True).fill("Goedemorgen")
    await ada.get_by_role("button", name="Write").click()
    for page in (ada, bob):
        await expect(page.locator(".entry", has_text="Piet").locator(".unread")).to_have_text("1")
    await ada.locator(".entry", has_text="Piet").click()
    await expect(bob.locator(".entry", has_text="Piet").locator(".unread")).to_be_hidden()
    await bob.reload()
    await expect(bob.locator(".entry", has_text="Piet")).to_contain_text("Goedemorgen")
