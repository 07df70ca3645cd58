"""The operator's page."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from tests.browser.conftest import ADMIN_TOKEN, OpenPage, Served
from tests.browser.pages import address, expect_count

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.expect_console("403")
async def test_nothing_without_the_token(server: Served, open_page: OpenPage) -> None:
    page = await open_page(f"{server.url}/admin", wait=False)
    await page.get_by_label("Admin token").fill("not-the-token")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("this needs the admin token")
    await expect(page.get_by_role("heading", name="Rooms by size")).to_be_hidden()


async def test_rooms_nodes_removals_and_redis(server: Served, open_page: OpenPage) -> None:
    """003-12: what the page says is what the routes say, whatever the browser's clock says."""
    await open_page(address(server.url, "operated", user="ada", name="Ada"))
    bob = await open_page(address(server.url, "operated", user="bob", name="Bob"))
    await expect_count(bob, "operated", 2)
    server.post("/api/chatroom/operated/kick", {"userId": "bob"})
    await expect(bob.get_by_role("alertdialog")).to_be_visible()
    page = await open_page(f"{server.url}/admin", wait=False)
    await page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=2))
    await page.get_by_label("Admin token").fill(ADMIN_TOKEN)
    await page.keyboard.press("Enter")
    row = page.get_by_role("region", name="Rooms by size").get_by_role("row", name="operated")
    await expect(row.get_by_role("cell")).to_have_text(["operated", "1", "1"])
    overview = server.get("/api/admin/overview", admin=True)
    node = page.get_by_role("region", name="Nodes and leases").get_by_role("row", name=overview["node"]["bootId"])
    await expect(node).to_contain_text("one")
    await expect(page.locator("[data-fact=nodes]")).to_have_text("1")
    await expect(page.locator("[data-fact=lag]")).to_have_text("0 ms")
    await expect(page.locator("[data-fact=memory]")).to_contain_text("MiB")
    await expect(page.get_by_text(overview["redis"]["server"])).to_be_visible()
    today = server.get("/api/analytics/removals?days=1", admin=True)["days"][0]["removals"]
    await page.get_by_text("As a table").click()
    first = page.get_by_role("region", name="Removals as a table").locator("tbody tr").first
    reasons = ("left", "disconnected", "inactivity_timeout", "server_restart", "node_lost", "kicked")
    counts = [f"{today.get(reason, 0)}" for reason in reasons]
    await expect(first.get_by_role("cell")).to_have_text([*counts, f"{sum(today.values())}"])
    await expect(page.locator("svg rect[data-reason=kicked]")).to_have_count(1)


async def test_however_often_it_is_looked_at_it_asks_every_two_seconds(server: Served, open_page: OpenPage) -> None:
    page = await open_page(f"{server.url}/admin", wait=False)
    await page.clock.install()
    await page.get_by_label("Admin token").fill(ADMIN_TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("as of")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/overview") else None)
    looks = "for (let look = 0; look < 10; look += 1) document.dispatchEvent(new Event('visibilitychange'))"
    async with page.expect_response("**/overview"):
        await page.evaluate(looks)
    await page.wait_for_load_state("networkidle")
    asked.clear()
    async with page.expect_response("**/overview"):
        await page.clock.run_for(2000)
    assert len(asked) == 1
