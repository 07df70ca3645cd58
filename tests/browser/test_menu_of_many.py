"""The menu of a large room, and how quick the page is."""

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from presence_engine import EmbeddedServer, PresenceEngine
from tests.browser.conftest import OpenPage, Served
from tests.browser.pages import address, card, expect_count

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

READY_MS = 1000
SCROLL = """async () => {
  const list = document.querySelector('.window');
  const gaps = [];
  let most = 0;
  let before = performance.now();
  const blocked = [];
  new PerformanceObserver((found) => blocked.push(...found.getEntries().map((entry) => entry.duration)))
    .observe({ type: 'longtask' });
  for (let step = 0; step < 120; step += 1) {
    list.scrollTop = (list.scrollHeight - list.clientHeight) * step / 119;
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - before);
    before = now;
    most = Math.max(most, list.querySelectorAll('li').length);
  }
  gaps.sort((a, b) => a - b);
  return { median: gaps[60], p95: gaps[114], most, blocked };
}"""

PLACES = """async (top) => {
  const list = document.querySelector('.window');
  list.scrollTop = top;
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
  return [...list.querySelectorAll('li:not([hidden])')].map((row) => Number(row.getAttribute('aria-posinset')));
}"""


async def test_a_thousand_people_scroll_smoothly(
    server: Served, store: EmbeddedServer, open_page: OpenPage, figure: Callable[[str], None]
) -> None:
    """002-11, 000-9: only rows in view exist, and scrolling over all of them never blocks the page."""
    async with PresenceEngine(store.url) as engine:
        await asyncio.gather(*(engine.join("many", f"u{n}", f"c{n}", username=f"Person {n}") for n in range(999)))
    page = await open_page(address(server.url, "many", user="zoe", name="Zoe"))
    await expect_count(page, "many", 1000)
    await card(page, "many").get_by_role("button", name="Participants").click()
    menu = page.get_by_role("dialog", name="Participants")
    await expect(menu.locator("[data-fact=menu-count]")).to_have_text("1,000")
    found = await page.evaluate(SCROLL)
    figure(
        f"1,000 rows: frames {found['median']:.1f} ms median, {found['p95']:.1f} ms p95,"
        f" {found['most']} rows at most, {len(found['blocked'])} tasks over 50 ms"
    )
    assert found["most"] <= 40
    assert found["median"] < 34
    assert not [ms for ms in found["blocked"] if ms > 100]
    await expect(menu.get_by_text("Zoe", exact=True)).to_be_visible()
    last = menu.locator("li", has_text="Zoe").first
    await expect(last).to_have_attribute("aria-posinset", "1000")
    await expect(last).to_have_attribute("aria-setsize", "1000")


async def test_names_are_read_out_in_the_order_they_are_seen(
    server: Served, store: EmbeddedServer, open_page: OpenPage
) -> None:
    """In the document rows stand as on the screen, however often the menu was opened, wherever it was scrolled."""
    async with PresenceEngine(store.url) as engine:
        await asyncio.gather(*(engine.join("order", f"u{n}", f"c{n}") for n in range(99)))
    page = await open_page(address(server.url, "order", user="zoe", name="Zoe"))
    await expect_count(page, "order", 100)
    for _ in range(3):
        await card(page, "order").get_by_role("button", name="Participants").click()
        menu = page.get_by_role("dialog", name="Participants")
        await expect(menu).to_have_attribute("data-loaded", "true")
        for top in (0, 500, 4000, 3000, 2990, 0):
            places = await page.evaluate(PLACES, top)
            assert len(places) > 10
            assert places == list(range(places[0], places[0] + len(places))), top
        await menu.get_by_role("button", name="Close").click()


async def test_the_page_is_ready_within_a_second(
    server: Served, open_page: OpenPage, figure: Callable[[str], None]
) -> None:
    """Ready means joined: the count is on the page."""
    times = []
    for _ in range(3):
        page = await open_page(address(server.url, "quick", user="ada", name="Ada"))
        times.append(await page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
        size = await page.evaluate(
            "performance.getEntriesByType('resource').reduce((sum, { transferSize }) => sum + transferSize, 0)"
        )
        await page.context.close()
    figure(f"ready after {', '.join(f'{ms:.0f}' for ms in times)} ms, {size / 1024:.0f} KiB over the wire")
    assert min(times) < READY_MS
