"""The board when things go wrong: what cannot be taken, who is put out, two hands at one thing."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, Served
from tests.browser.pages import address, card
from tests.browser.test_board import board

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# What other clients may send; the page's own would not.
STRANGER = """async (retro) => {
  const { io } = await import('/vendor/socket.io-client/socket.io.esm.min.js');
  const { createBoardClient } = await import('/client/board-client.js');
  const socket = io({ auth: { userId: 'stranger' }, transports: ['websocket'], forceNew: true });
  const board = createBoardClient(socket, retro, 'stranger');
  await new Promise((resolve) => board.on('status', (status) => status === 'online' && resolve()));
  const ids = [...document.querySelectorAll('.note')].slice(-2).map((note) => note.dataset.key);
  await board.group(Object.fromEntries(ids.map((id) => [id, 'odd'])), { odd: 'url(/odd.png)' });
  await board.typing({ userId: 'stranger' });
  socket.close();
}"""

# Looked at in the same turn: the next change of anything would show the text anew.
SAVE = """() => {
  document.querySelector('.actions form').requestSubmit();
  return document.querySelector('.actions .task').textContent;
}"""


async def add(page: Page, text: str) -> None:
    await page.get_by_label("New note").fill(text)
    await page.keyboard.press("Enter")


async def test_what_was_not_taken_stays_with_its_writer(server: Served, open_page: OpenPage) -> None:
    """Too long in bytes, blank, or without a connection; a second try then is taken."""
    page = await board(open_page, server, "odds", "ada")
    field, task = page.get_by_label("New note"), page.get_by_label("New action item")
    await add(page, "付箋" * 21)
    assert "Too long by 3 bytes" in await field.evaluate("(field) => field.validationMessage")
    await add(page, "   ")
    await expect(field).to_have_value("   ")
    await add(page, "付箋" * 20)
    await expect(field).to_have_value("")
    await expect(page.locator(".note")).to_have_count(1)

    await page.get_by_role("button", name="Drop the network").click()
    await add(page, "Written offline")
    await task.fill("Done offline")
    await page.keyboard.press("Enter")
    await page.get_by_label("Phase").select_option("Vote")
    await expect(page.get_by_label("Phase")).to_have_value("Collect")
    await expect(field).to_have_value("Written offline")
    await expect(task).to_have_value("Done offline")
    await page.get_by_role("button", name="Bring the network back").click()
    await expect(page.locator("[data-fact=board-status]")).to_have_text("online")
    for one in (field, task):
        await one.focus()
        await page.keyboard.press("Enter")
        await expect(one).to_have_value("")
    await expect(page.locator(".note")).to_have_count(2)
    await expect(page.locator(".actions .task")).to_have_text("Done offline")
    assert not [item for item in server.get("/api/retro/odds/state")["itemPositions"] if item.endswith(":")]


async def test_keys_and_what_others_send(server: Served, open_page: OpenPage) -> None:
    """The browser's own keys are let alone; a colour that is an address is not fetched; who has no name is somebody."""
    page = await board(open_page, server, "keys", "ada")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "odd.png" in request.url else None)
    await page.get_by_role("button", name="Lay out some samples").click()
    await page.locator(".note").first.focus()
    await page.keyboard.press("Control+G")
    await page.keyboard.press("Shift+G")
    await expect(page.locator(".groups li")).to_have_count(1)
    for key in ("Control+G", "Control+U", "Alt+ArrowDown"):
        await page.keyboard.press(key)
    grouped = server.get("/api/retro/keys/state")
    assert (len(grouped["itemGroups"]), grouped["version"]) == (2, 2)
    await page.evaluate(STRANGER, "keys")
    await expect(page.get_by_text("Somebody is writing a note…")).to_be_visible()
    await expect(page.locator(".groups li")).to_have_count(1)
    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    assert fetched == []


async def test_two_edit_one_item_and_one_has_a_new_name(server: Served, open_page: OpenPage) -> None:
    ada, bob = [await board(open_page, server, "edits", user) for user in ("ada", "bob")]
    await ada.get_by_label("New action item").fill("Do it")
    await ada.keyboard.press("Enter")
    for page in (ada, bob):
        await page.locator(".actions").get_by_role("button", name="Edit").click()
    await bob.get_by_label("Action item", exact=True).fill("Do it well")
    await bob.keyboard.press("Enter")
    await expect(bob.locator(".actions .task")).to_have_text("Do it well")
    await expect(ada.locator(".actions")).to_contain_text("edited")
    assert await ada.evaluate(SAVE) == "Do it well"
    assert [item["task"] for item in server.get("/api/retro/edits/state")["actionItems"]] == ["Do it well"]

    await ada.get_by_label("Your name").fill("Ada L.")
    await ada.get_by_label("Your name").press("Enter")
    await expect(bob.get_by_label("Assignee").locator("option", has_text="Ada L.")).to_be_attached()
    assert server.names("retro:edits") == ["Ada L.", "Bob"]


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
