"""The retro board in two pages."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, Served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def board(open_page: OpenPage, server: Served, name: str, user: str) -> Page:
    page = await open_page(f"{server.url}/?rooms=&board={name}&user={user}&name={user.title()}#board", wait=False)
    await expect(page.locator("[data-fact=board-status]")).to_have_text("online")
    return page


async def drag(page: Page, note: str, to: str) -> None:
    start = await page.get_by_role("button", name=note).bounding_box()
    end = await page.get_by_role("button", name=to).bounding_box()
    assert start is not None
    assert end is not None
    await page.mouse.move(start["x"] + 20, start["y"] + 20)
    await page.mouse.down()
    await page.mouse.move(end["x"] + 40, end["y"] + 45, steps=8)
    await page.mouse.up()


async def test_two_people_move_group_vote_and_act(server: Served, open_page: OpenPage) -> None:
    """002-1, 002-5, 002-6: what one does the other sees, by hand and by keyboard."""
    ada, bob = [await board(open_page, server, "both", user) for user in ("ada", "bob")]
    for page in (ada, bob):
        await expect(page.locator("[data-fact=board-count]")).to_have_text("2")
    await ada.get_by_role("button", name="Lay out some samples").click()
    await bob.get_by_label("New note").fill("More light")
    await bob.get_by_role("button", name="Add note").click()
    for page in (ada, bob):
        await expect(page.locator(".note")).to_have_count(7)

    await drag(ada, "Too many meetings", to="Flaky nightly build")
    for page in (ada, bob):
        await expect(page.locator(".groups li")).to_have_count(1)
    before = server.get("/api/retro/both/state")["itemPositions"]
    note = next(item for item in before if item.endswith("More light"))
    await bob.get_by_role("button", name="More light").focus()
    await bob.keyboard.press("ArrowRight")
    await expect(bob.get_by_role("button", name="More light")).to_have_attribute("aria-pressed", "true")
    moved = f"{before[note]['x'] + 20}"
    await expect(ada.get_by_role("button", name="More light")).to_have_attribute(
        "style", f"--x: {moved}; --y: {before[note]['y']};"
    )
    await bob.get_by_label("Group the chosen note with").select_option(label="Releases are quicker")
    for page in (ada, bob):
        await expect(page.locator(".groups li")).to_have_count(2)

    for _ in range(3):
        await ada.get_by_role("button", name="Vote for group A").click()
    await expect(ada.get_by_role("button", name="Vote for group A")).to_be_disabled()
    await expect(bob.locator(".groups li").first).to_contain_text("Group A · 3 votes")

    await bob.get_by_label("New action item").fill("Fix the build")
    await bob.get_by_label("Assignee").select_option(label="Ada")
    await bob.get_by_role("button", name="Add", exact=True).click()
    await expect(ada.locator(".actions li")).to_contain_text("Fix the build")
    await ada.get_by_role("button", name="Edit").click()
    await ada.get_by_label("Action item", exact=True).fill("Fix the nightly build")
    await ada.keyboard.press("Enter")
    await expect(bob.locator(".actions li")).to_contain_text("Fix the nightly build")
    await expect(bob.locator(".actions li")).to_contain_text("Ada · edited")
    await bob.get_by_role("button", name="Delete").click()
    await expect(ada.locator(".actions li")).to_have_count(0)

    state = server.get("/api/retro/both/state")
    assert sum(state["allUserVotes"]["ada"].values()) == 3
    assert len(set(state["itemGroups"].values())) == 2
    assert state["actionItems"] == []
    # The debug panel shows the board that the API tells of.
    await expect(ada.locator("[data-fact=version]")).to_have_text(f"{state['version']}")


async def test_phases_and_typing_are_passed_on(server: Served, open_page: OpenPage) -> None:
    """002-5: relayed, kept nowhere."""
    ada, bob = [await board(open_page, server, "relay", user) for user in ("ada", "bob")]
    await ada.get_by_label("Phase").select_option("Vote")
    await expect(bob.get_by_label("Phase")).to_have_value("Vote")
    await ada.get_by_label("New note").press_sequentially("Hm")
    await expect(bob.get_by_text("Ada is writing a note…")).to_be_visible()
