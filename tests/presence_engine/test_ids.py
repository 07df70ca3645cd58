"""What a room, a user and a connection may be called (X1, T3.11)."""

from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest

from presence_engine import InvalidInput, Joined, PresenceEngine, RoomRules
from presence_engine.ids import canonical_id

AWKWARD = [
    "a:b", "{x}", "{}", "}{", "*", "?", "[a-z]", "%2F", "a/b", "/", " ", "a b", "~", "~c", "|", "\\", "'\"", "-inf",
    "(1", "0", "emoji 👩\u200d👩\u200d👧\u200d👦", "\u202eabc\u202c", "العربية", "é", "e\u0301", "ﬀ",
    "pr1:{0}:room:x:members", "members", "\u2028", "𐍈", "a" * 128, "é" * 64,
    "__proto__", "null", "nan",
]  # fmt: skip
REFUSED: list[Any] = [
    "", "\n", "a\nb", "\x00", "a\x00", "\x1e", "\x1f", "\x7f", "\x85", "\t", "a" * 129, "é" * 65, "\ud800", "a\udfff",
    True, False, None, {}, [], 1.5, float("nan"), float("inf"), float("-inf"), 2**53, -(2**53), 2.0**53,
    b"bytes", ("a",),
]  # fmt: skip


class Words(str, Enum):  # noqa: UP042 - what applications of before Python 3.11 have
    ROOM = "lobby"


class Plain(StrEnum):
    ROOM = "hall"


class Numbers(int, Enum):
    ROOM = 7


class Whole(IntEnum):
    ROOM = 8


@pytest.mark.parametrize("value", AWKWARD)
def test_every_other_character_is_legal(value: str) -> None:
    assert canonical_id(value, "roomId") == value


@pytest.mark.parametrize("value", REFUSED, ids=repr)
@pytest.mark.parametrize("field", ["roomId", "userId"])
def test_what_is_refused_names_the_field(value: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical_id(value, field)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize(
    ("value", "text"),
    [(15, "15"), ("15", "15"), (15.0, "15"), (0, "0"), (-0.0, "0"), (-7, "-7"), ("015", "015"),
     (2**53 - 1, "9007199254740991"), (-(2**53) + 1, "-9007199254740991"), (str(2**53), "9007199254740992")],
)  # fmt: skip
def test_numbers_and_their_text_are_one(value: Any, text: str) -> None:
    assert canonical_id(value, "userId") == text


async def test_the_three_spellings_of_fifteen_are_one_user(engine: PresenceEngine) -> None:
    for n, user in enumerate((15, "15", 15.0)):
        await engine.join(15, user, f"c{n}")  # type: ignore[arg-type]
    [member] = (await engine.list("15")).members
    assert (member.user, member.connections) == ("15", 3)


@pytest.mark.parametrize(("given", "shown"), [(15, 15), ("15", "15"), (15.0, 15)])
async def test_a_user_id_is_shown_as_at_the_latest_join(engine: PresenceEngine, given: Any, shown: object) -> None:
    await engine.join("r", "15", "first")
    await engine.join("r", given, "second")
    [member] = (await engine.list("r")).members
    assert member.user_id == shown
    assert type(member.user_id) is type(shown)
    assert member.username == "15"


async def test_awkward_ids_never_mix(engine: PresenceEngine) -> None:
    """Every id as room, user and connection at once: the same are found again, and no others."""
    for value in AWKWARD:
        await engine.join(value, value, value, username=value)
        await engine.join("all", value, value)
    for value in AWKWARD:
        page = await engine.list(value)
        assert [(m.user, m.username, m.connections) for m in page.members] == [(value, value, 1)]
        assert {found.room for found in await engine.where(value)} == {value, "all"}
        assert type(await engine.heartbeat(value, value, value)).__name__ == "Beat"
    assert (await engine.count("all")).count == len(AWKWARD)
    assert {m.user for m in (await engine.list("all")).members} == set(AWKWARD)
    assert (await engine.rooms()).total == len(AWKWARD) + 1
    counts = await engine.counts(AWKWARD)
    assert list(counts) == AWKWARD
    assert all(position.count == 1 for position in counts.values())


async def test_awkward_ids_leave_nothing_behind(engine: PresenceEngine, keys_left: Any) -> None:
    for value in AWKWARD:
        await engine.join(value, value, value)
        await engine.detach(value, value, value)
        await engine.join(value, value, value + "2" if len(value.encode()) < 128 else "2")
    for value in AWKWARD:
        await engine.leave(value, value, value + "2" if len(value.encode()) < 128 else "2")
    assert await keys_left() == []


async def test_members_of_enumerations_are_the_text_or_number_they_stand_for(
    engine: PresenceEngine, make_engine: Any
) -> None:
    """Also to another process, and to the rules and keys, which would meet their names."""
    seen: list[str] = []

    def rules(room: str) -> RoomRules:
        seen.append(room)
        return RoomRules()

    other = await make_engine(rules=rules)
    for plain, member in (("lobby", Words.ROOM), ("hall", Plain.ROOM), (7, Numbers.ROOM), (8, Whole.ROOM)):
        joined = await other.join(member, member, str(plain))
        assert joined.position.count == 1
        assert type(await engine.heartbeat(plain, plain, str(plain))).__name__ == "Beat"
        page = await engine.list(plain)
        assert [(one.user, one.user_id) for one in page.members] == [(str(plain), plain)]
        assert [found.room for found in await other.where(member)] == [str(plain)]
        assert other.channel(member) == engine.channel(str(plain))
        assert list(await other.counts([member])) == [str(plain)]
    await other.join("r", "u", Words.ROOM)
    assert type(await other.heartbeat("r", "u", "lobby", adopt=False)).__name__ == "Beat"
    assert set(map(type, seen)) == {str}
    assert {room for room in seen if room != "r"} == {"lobby", "hall", "7", "8"}


async def test_unicode_forms_are_different_ids(engine: PresenceEngine) -> None:
    """NFC and NFD look alike and are two users."""
    await engine.join("r", "\u00e9", "a")
    await engine.join("r", "e\u0301", "b")
    assert (await engine.count("r")).count == 2


@pytest.mark.parametrize("verb", ["join", "heartbeat", "leave", "detach", "update"])
@pytest.mark.parametrize(("position", "field"), [(0, "roomId"), (1, "userId"), (2, "connection")])
@pytest.mark.parametrize("bad", ["", "a\n", "a" * 129, None, True, {}], ids=repr)
async def test_every_verb_refuses_before_it_sends(
    engine: PresenceEngine, verb: str, position: int, field: str, bad: Any
) -> None:
    arguments: list[Any] = ["r", "u", "c"]
    arguments[position] = bad
    with pytest.raises(InvalidInput) as caught:
        await getattr(engine, verb)(*arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("verb", "arguments", "field"),
    [
        ("kick", ("", "u"), "roomId"), ("kick", ("r", None), "userId"), ("list", ("\n",), "roomId"),
        ("count", (True,), "roomId"), ("counts", (["a", ""],), "roomIds"), ("where", ({},), "userId"),
        ("sweep", (1.5,), "roomId"),
    ],
)  # fmt: skip
async def test_so_do_the_others(engine: PresenceEngine, verb: str, arguments: tuple[Any, ...], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await getattr(engine, verb)(*arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("node", ["", "short", "toolong99", "a:b:c:d:", "ünïcödé!", "\x1f2345678"])
def test_a_node_is_eight_letters_or_digits(redis_url: str, node: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        PresenceEngine(redis_url, node=node or "x")
    assert caught.value.field == "node"


async def test_a_room_may_be_joined_by_number(engine: PresenceEngine) -> None:
    outcome = await engine.join(7, 8, "c")
    assert isinstance(outcome, Joined)
    assert (await engine.count("7")).count == 1
