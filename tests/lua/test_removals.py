"""removals.lua."""

from typing import Any

import pytest

from presence_engine import ContractBroken
from tests.lua.conftest import LIFE_MS, NODE_B, Lua

DAY_MS = 86_400_000


async def test_users_who_left_by_day_and_reason(lua: Lua) -> None:
    """003-12. A user counts once, whatever the number of connections."""
    today = lua.clock.now_ms // DAY_MS
    await lua.join("kicked")
    await lua.join("kicked", connection=f"{NODE_B}d")
    await lua.run("kick", user="kicked")
    for user in ("a", "b"):
        await lua.join(user)
        await lua.run("leave", user=user)
    await lua.join("broken")
    await lua.run("detach", user="broken", grace_ms=0)
    lua.clock.advance(DAY_MS)
    await lua.join("idle")
    lua.clock.advance(LIFE_MS)
    await lua.run("sweep")
    word, now, *rows = await lua.run("removals")
    assert (word, now) == ("removals", lua.clock.now_ms)
    assert sorted(zip(rows[::3], rows[1::3], rows[2::3], strict=True)) == [
        (today, "disconnected", 1), (today, "kicked", 1), (today, "left", 2), (today + 1, "inactivity_timeout", 1),
    ]  # fmt: skip
    assert (await lua.run("removals", days=1))[2:] == [today + 1, "inactivity_timeout", 1]


async def test_a_tally_is_kept_thirty_days(lua: Lua) -> None:
    await lua.join()
    await lua.run("leave")
    [(name, life)] = (await lua.expiries()).items()
    assert name == f"removals:{lua.clock.now_ms // DAY_MS}"
    assert 29 * DAY_MS < life <= 30 * DAY_MS


async def test_every_further_reason_keeps_the_expiry(lua: Lua) -> None:
    for verb in ("leave", "kick", "leave"):
        await lua.join()
        await lua.run(verb)
    assert (await lua.expiries())[f"removals:{lua.clock.now_ms // DAY_MS}"] > 29 * DAY_MS


async def test_nobody_left(lua: Lua) -> None:
    assert await lua.run("removals", days=30) == ["removals", lua.clock.now_ms]


@pytest.mark.parametrize("given", [{"days": "x"}, {"now_ms": "x"}], ids=str)
async def test_malformed_arguments_are_refused(lua: Lua, given: dict[str, Any]) -> None:
    with pytest.raises(ContractBroken):
        await lua.run("removals", **given)
