"""A socket that goes while a recovery asserts it: whatever Redis hears first, it is gone afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from presence_engine import PresenceEngine, StoreUnavailable
from server.limits import TokenBucket
from server.reassert import Reassert
from server.refusals import Refusal
from server.sockets.force_leave import ForceLeave
from server.sockets.partings import Parting, Partings
from server.sockets.presence import PresenceEvents
from server.sockets.session import Identity, Membership, Session

Go = Callable[[PresenceEngine, Session, str], Awaitable[None]]


def session_in(room: str) -> Session:
    session = Session("socket", "/", TokenBucket(0, 0), Identity("u1", "u1"))
    session.rooms[room] = Membership(room, 1)
    return session


def recovery_of(engine: PresenceEngine, session: Session, *, recovering: bool = True) -> Reassert:
    # Nothing here is told to a client.
    return Reassert(engine, {session.sid: session}, cast(ForceLeave, None), lambda: recovering)


async def leave(engine: PresenceEngine, session: Session, room: str) -> None:
    await engine.leave(room, "u1", session.sid)
    session.rooms.pop(room, None)


async def close(engine: PresenceEngine, session: Session, room: str) -> None:
    session.closed = True
    session.rooms.clear()
    await engine.detach(room, "u1", session.sid, grace_ms=0)


def overtake(monkeypatch: pytest.MonkeyPatch, engine: PresenceEngine, call: str, go: Callable[[], Any]) -> None:
    """Have Redis hear of the socket's going just before this call."""
    real = getattr(engine, call)

    async def later(*args: Any, **named: Any) -> Any:
        going = asyncio.ensure_future(go())
        await asyncio.sleep(0)
        outcome = await real(*args, **named)
        await going
        return outcome

    monkeypatch.setattr(engine, call, later)


@pytest.mark.parametrize("go", [leave, close])
async def test_t3_6_who_goes_while_a_lost_connection_is_put_back_stays_gone(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch, go: Go
) -> None:
    session = session_in("room")
    await engine.join("room", "u2", "other")
    overtake(monkeypatch, engine, "restore", lambda: go(engine, session, "room"))
    await recovery_of(engine, session).restore(session, "room")
    online = [member.user for member in (await engine.list("room")).members if member.status == "online"]
    assert online == ["u2"]


@pytest.mark.parametrize("go", [leave, close])
async def test_t3_6_who_goes_while_its_connection_is_adopted_stays_gone(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch, go: Go
) -> None:
    """The user is there by another tab, so a beat lets this one in."""
    session = session_in("room")
    await engine.join("room", "u1", "other")
    overtake(monkeypatch, engine, "heartbeat", lambda: go(engine, session, "room"))
    await recovery_of(engine, session).condemned()
    await engine.leave("room", "u1", "other")
    assert [member.status for member in (await engine.list("room")).members] in ([], ["away"])


async def test_who_joins_anew_while_it_is_put_back_is_in(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_in("room")

    async def come_again() -> None:
        await leave(engine, session, "room")
        await engine.join("room", "u1", session.sid)
        session.rooms["room"] = Membership("room", 2)

    overtake(monkeypatch, engine, "restore", come_again)
    await recovery_of(engine, session).restore(session, "room")
    assert [member.user for member in (await engine.list("room")).members] == ["u1"]


async def test_a_join_at_the_very_moment_its_end_is_repeated_stays(engine: PresenceEngine) -> None:
    partings = Partings(engine, 60_000)
    await engine.join("room", "u1", "socket")
    partings.part_soon("room", "u1", "socket", Parting(leaves=True))
    ending = asyncio.ensure_future(partings._end(dict(partings._unheard)))
    assert partings.keep("room", "u1", "socket")
    await engine.join("room", "u1", "socket")
    await ending
    assert (await engine.count("room")).count == 1


async def test_a_shard_that_is_away_does_not_keep_the_ends_of_others_waiting(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sockets.partings._BATCH", 1)
    monkeypatch.setattr("server.sockets.partings._RETRY_S", 0.01)
    real = engine.detach

    async def one_shard_less(room: str, *args: Any, **named: Any) -> Any:
        if room == "away":
            raise StoreUnavailable("away")
        return await real(room, *args, **named)

    monkeypatch.setattr(engine, "detach", one_shard_less)
    partings = Partings(engine, 60_000)
    await engine.join("room", "u1", "socket")
    partings.part_soon("away", "u1", "socket")
    partings.part_soon("room", "u1", "socket")
    async with asyncio.timeout(5):
        while (await engine.list("room")).members[0].status != "away":
            await asyncio.sleep(0.01)
    assert partings.keep("away", "u1", "socket")


async def test_a_wish_made_again_is_not_forgotten_with_the_one_before(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another shard is slow, so that nothing of the first round is settled yet."""
    monkeypatch.setattr("server.sockets.partings._RETRY_S", 0.01)
    real, told, slow = engine.detach, asyncio.Event(), asyncio.Event()

    async def detach(room: str, *args: Any, **named: Any) -> Any:
        if room == "slow":
            await slow.wait()
        outcome = await real(room, *args, **named)
        told.set()
        return outcome

    monkeypatch.setattr(engine, "detach", detach)
    partings = Partings(engine, 60_000)
    partings.part_soon("slow", "u1", "socket")
    partings.part_soon("room", "u1", "socket")
    await told.wait()
    doubted = partings.keep("room", "u1", "socket")
    await engine.join("room", "u1", "socket")
    partings.part_soon("room", "u1", "socket", doubted)
    slow.set()
    async with asyncio.timeout(5):
        while (await engine.list("room")).members[0].status != "away":
            await asyncio.sleep(0.01)


async def test_who_was_put_out_before_the_socket_ended_is_not_back_for_a_grace(engine: PresenceEngine) -> None:
    """Redis lost the end with its last second; that the socket ended later makes it no break."""
    session = Session("socket", "/", TokenBucket(0, 0), Identity("u1", "u1"))
    recovery = recovery_of(engine, session)
    recovery.departed(session, "room")
    session.closed = True
    await engine.join("room", "u1", session.sid)
    await recovery.recovered()
    assert (await engine.count("room")).count == 0


async def test_one_room_that_cannot_be_asserted_keeps_no_other_waiting(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.reassert._BATCH", 1)
    session = session_in("away")
    session.rooms["here"] = Membership("here", 1)
    real = engine.heartbeat

    async def one_less(room: str, *args: Any, **named: Any) -> Any:
        if room == "away":
            raise StoreUnavailable("away")
        return await real(room, *args, **named)

    monkeypatch.setattr(engine, "heartbeat", one_less)
    with pytest.raises(StoreUnavailable):
        await recovery_of(engine, session).recovered()
    assert (await engine.count("here")).count == 1


@pytest.mark.parametrize("recovering", [True, False])
async def test_an_update_of_a_member_whom_redis_lost_waits_for_the_recovery(
    engine: PresenceEngine, recovering: bool
) -> None:
    session = session_in("room")
    session.rooms["room"].username = "Ada"
    recovery = recovery_of(engine, session, recovering=recovering)
    nothing = cast(Any, None)
    authoriser = cast(Any, SimpleNamespace(check_fresh=lambda _identity: None))
    rest = (nothing, nothing, nothing, authoriser, nothing, nothing, nothing)
    update = PresenceEvents(engine, *rest, recovery).update(session, {"roomId": "room", "data": {"a": 1}})
    if recovering:
        assert (await update)["updated"] is True
        [member] = (await engine.list("room")).members
        assert (member.username, member.data) == ("Ada", {"a": 1})
    else:
        with pytest.raises(Refusal, match="not in the room"):
            await update


async def test_of_a_place_that_was_left_twice_the_last_time_counts(engine: PresenceEngine) -> None:
    """Left, joined again, broken off: a recovery within the grace does not end it."""
    session = Session("socket", "/", TokenBucket(0, 0), Identity("u1", "u1"))
    recovery = recovery_of(engine, session)
    recovery.departed(session, "room")
    await engine.join("room", "u1", session.sid)
    session.closed = True
    await engine.detach("room", "u1", session.sid)
    recovery.departed(session, "room")
    await recovery.recovered()
    assert [member.status for member in (await engine.list("room")).members] == ["away"]


async def test_what_was_asserted_is_not_asserted_again_while_a_shard_stays_away(
    engine: PresenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_in("away")
    session.rooms["here"] = Membership("here", 1)
    recovery, real, beaten = recovery_of(engine, session), engine.heartbeat, list[str]()

    async def one_less(room: str, *args: Any, **named: Any) -> Any:
        beaten.append(room)
        if room == "away":
            raise StoreUnavailable("away")
        return await real(room, *args, **named)

    monkeypatch.setattr(engine, "heartbeat", one_less)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await recovery.recovered()
    assert (beaten.count("away"), beaten.count("here")) == (3, 1)
