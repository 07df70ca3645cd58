"""The inbox on a bad day: slow lines, lost answers."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import OpenPage, Served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def inbox(open_page: OpenPage, server: Served, user: str) -> Page:
    return await open_page(f"{server.url}/?rooms=lobby&user={user}&name={user.title()}#chat")


def write(server: Served, phone: str, *texts: str) -> str:
    for text in texts:
        answer = server.post(
            "/messages/incoming", {"phone": phone, "customer_name": f"Nr {phone}", "content_text": text}
        )
    return str(answer["room_id"])


@pytest.mark.expect_console("ERR_FAILED")
async def test_an_answer_goes_once_to_whom_it_was_written(server: Served, open_page: OpenPage) -> None:
    """004-4: however often Enter is pressed, and when the answer to it is lost; drafts stay with their room."""
    page = await inbox(open_page, server, "answering")
    room = write(server, "7001", "one?")
    write(server, "7002", "two?")
    one, two = (page.locator(".entry", has_text=f"Nr {phone}") for phone in ("7001", "7002"))
    answer, send = page.get_by_label("Answer"), page.get_by_role("button", name="Send", exact=True)
    may_go_on = asyncio.Event()

    async def slow(route: Route) -> None:
        await may_go_on.wait()
        await route.continue_()

    async def lost(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await one.click()
    await page.route("**/messages/send", slow, times=1)
    await answer.fill("once")
    await answer.press("Enter")
    await expect(send).to_be_disabled()
    await answer.press("Enter")
    await two.click()
    await expect(answer).to_have_value("")
    await expect(send).to_be_enabled()
    await answer.fill("for two")
    may_go_on.set()
    await expect(one).to_contain_text("once")
    await expect(answer).to_have_value("for two")
    await one.click()
    await expect(answer).to_have_value("")

    await page.route("**/messages/send", lost, times=1)
    await answer.fill("again")
    await answer.press("Enter")
    await expect(page.get_by_text("The chat cannot be reached now.")).to_be_visible()
    await expect(answer).to_have_value("again")
    await answer.press("Enter")
    await expect(answer).to_have_value("")
    texts = [message["content_text"] for message in server.get(f"/messages?room_id={room}")["messages"]]
    assert texts == ["one?", "once", "again"]
