"""The inbox on a bad day: slow lines, lost answers, a store that is away, more customers than fit."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import OpenPage, Served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PLACE = """
[...document.querySelectorAll('.messages li')].find((li) => li.textContent.startsWith({!r})).getBoundingClientRect().top
"""


async def inbox(open_page: OpenPage, server: Served, user: str) -> Page:
    return await open_page(f"{server.url}/?rooms=lobby&user={user}&name={user.title()}#chat")


def write(server: Served, phone: str, *texts: str) -> str:
    for text in texts:
        message = {"phone": phone, "customer_name": f"Nr {phone}", "content_text": text}
        answer = server.post("/messages/incoming", message)
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


async def test_who_reads_further_up_stays_there(server: Served, open_page: OpenPage) -> None:
    page = await inbox(open_page, server, "reading")
    write(server, "7100", *(f"m{number:02}" for number in range(60)))
    await page.locator(".entry", has_text="Nr 7100").click()
    bubbles, window = page.locator(".messages li"), page.locator(".message-window")
    await expect(bubbles.last).to_be_in_viewport()
    write(server, "7100", "follow")
    await expect(bubbles.last).to_contain_text("follow")
    await expect(bubbles.last).to_be_in_viewport()

    await window.evaluate("(window) => window.scrollTo(0, 100)")
    place = PLACE.format("m12")
    before = await page.evaluate(place)
    write(server, "7100", "stay")
    await expect(bubbles.last).to_contain_text("stay")
    assert await page.evaluate(place) == pytest.approx(before, abs=1)
    await window.evaluate("(window) => window.scrollTo(0, 0)")
    before = await page.evaluate(place)
    await page.get_by_role("button", name="Earlier messages").click()
    await expect(bubbles.first).to_contain_text("m00")
    assert await page.evaluate(place) == pytest.approx(before, abs=1)

    await page.get_by_label("Answer").fill("mine")
    await page.get_by_label("Answer").press("Enter")
    await expect(bubbles.last).to_contain_text("mine")
    await expect(bubbles.last).to_be_in_viewport()
    await page.get_by_role("tab", name="Rooms").click()
    write(server, "7100", *(f"later {number}" for number in range(20)))
    await page.get_by_role("tab", name="Chat").click()
    await expect(bubbles.last).to_contain_text("later 19")
    await expect(bubbles.last).to_be_in_viewport()


@pytest.mark.expect_console("503")
async def test_an_inbox_that_cannot_be_read_is_not_called_empty(server: Served, open_page: OpenPage) -> None:
    """T0.7: it is read when it can be; the customers beyond the first page are there when asked for."""
    for number in range(52):
        write(server, f"72{number:02}", "hi")
    page = await open_page(f"{server.url}/?rooms=lobby&user=waiting&name=Waiting")
    refusal = {"error": {"message": "away"}}
    await page.route("**/rooms?*", lambda route: route.fulfill(status=503, json=refusal), times=1)
    await page.get_by_role("tab", name="Chat").click()
    await expect(page.get_by_text("away", exact=True)).to_be_visible()
    await expect(page.get_by_text("Reading the inbox")).to_be_visible()
    await expect(page.locator(".entry", has_text="Nr 7251")).to_be_visible()
    await expect(page.get_by_text("away", exact=True)).to_be_hidden()
    await expect(page.locator(".entry")).to_have_count(50)
    await page.get_by_role("button", name="More customers").click()
    await expect(page.locator(".entry", has_text="Nr 7200")).to_be_visible()
