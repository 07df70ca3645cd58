"""The policy file: which rooms a pattern takes, what a table may say, and how a wrong one is told."""

import glob
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence_engine import ConfigurationError, RoomRules
from server.room_patterns import room_pattern
from server.room_policy import RoomPolicy
from server.settings import Settings


def policy(tmp_path: Path, text: str | bytes, **environ: str) -> RoomPolicy:
    file = tmp_path / "rooms.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return RoomPolicy.from_settings(Settings.from_environ({"PRESENCE_ROOM_POLICY": str(file), **environ}))


def test_without_a_file_every_room_has_the_settings_own_rules() -> None:
    rules = RoomPolicy.from_settings(Settings.from_environ({"PRESENCE_TTL": "2", "PRESENCE_GRACE": "0"}))
    assert rules.for_room("any") == RoomRules(ttl_ms=2000, grace_ms=0, capacity=0, inactivity_message=None)


def test_003_12_ttl_capacity_and_message_by_room(tmp_path: Path) -> None:
    rules = policy(
        tmp_path,
        """
        ["short-*"]
        ttl = 1.5
        grace = 0
        [lobby]
        capacity = 3
        inactivity_message = "Bis später 👋"
        """,
        PRESENCE_TTL="60",
    )
    assert rules.for_room("short-1") == RoomRules(1500, 0)
    assert rules.for_room("lobby") == RoomRules(60_000, 15_000, 3, "Bis später 👋")
    assert rules.for_room("lobby2") == rules.for_room("a short-1") == RoomRules(60_000, 15_000)


def test_the_first_match_in_the_order_of_the_file_wins(tmp_path: Path) -> None:
    rules = policy(tmp_path, '["z*"]\ncapacity = 1\n["*"]\ncapacity = 2\n["zoo"]\ncapacity = 3\n')
    assert [rules.for_room(room).capacity for room in ("zoo", "a", "zoo")] == [1, 2, 1]


def test_an_answer_does_not_depend_on_the_rooms_asked_before(tmp_path: Path) -> None:
    rules = policy(tmp_path, '["odd-*"]\ncapacity = 1\n')
    for _ in range(2):
        for number in range(10_000):
            assert rules.for_room(f"{'odd' if number % 2 else 'even'}-{number}").capacity == number % 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('["a*"]\nttl = 0', '["a*"] ttl: expected seconds, more than 0'),
        ('["a*"]\nttl = true', '["a*"] ttl: expected seconds, more than 0'),
        ('["a*"]\nttl = nan', '["a*"] ttl: expected seconds, more than 0'),
        ('["a*"]\nttl = inf', '["a*"] ttl: expected seconds, more than 0'),
        ('["a*"]\nttl = "60"', '["a*"] ttl: expected seconds, more than 0'),
        ('["a*"]\ngrace = -1', '["a*"] grace: expected seconds, at least 0'),
        ('["a*"]\ncapacity = 0', '["a*"] capacity: expected a whole number from 1'),
        ('["a*"]\ncapacity = 1.0', '["a*"] capacity: expected a whole number from 1'),
        ('["a*"]\ncapacity = true', '["a*"] capacity: expected a whole number from 1'),
        ('["a*"]\ninactivity_message = " "', '["a*"] inactivity_message: expected a text'),
        ('["a*"]\ninactivity_message = 7', '["a*"] inactivity_message: expected a text'),
        ('["a*"]\nttl_ms = 5', '["a*"] ttl_ms: expected one of ttl, grace, capacity, inactivity_message'),
        ("ttl = 5", 'ttl: expected a table, ["ttl"]'),
        ("[a.b]\nttl = 5", '["a"] b: expected one of ttl'),
        ("[a*]\nttl = 5", "is not TOML: "),
        ("[a]\nttl = 5\n[a]\nttl = 6", "is not TOML: "),
        (b"# caf\xe9", "is not UTF-8"),
    ],
)
def test_a_wrong_entry_is_told_by_file_table_and_key(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        policy(tmp_path, text)
    message = str(caught.value)
    assert message.startswith("PRESENCE_ROOM_POLICY: ")
    assert str(tmp_path / "rooms.toml") in message
    assert told in message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            RoomPolicy.from_settings(Settings.from_environ({"PRESENCE_ROOM_POLICY": str(file)}))
        assert str(caught.value).startswith(f"PRESENCE_ROOM_POLICY: cannot read {file}: ")


# Patterns


@pytest.mark.parametrize(
    ("pattern", "room", "matches"),
    [
        ("*", "", True), ("*", "any/thing", True), ("room", "Room", False), ("room", "room ", False),
        ("r?m", "r🚪m", True), ("r?m", "rm", False), ("a*b*c", "a-b-b-c", True), ("a*b*c", "acb", False),
        ("{x}:*", "{x}:15", True), ("team[1]", "team[1]", True), ("team[1]", "team1", False),
        ("[a-c]*", "[a-c]z", True),
        ("a[*]", "a*", True), ("a[*]", "ab", False), ("[[]x", "[x", True), ("[?]", "?", True), ("[?]", "a", False),
        ("[", "[", True), ("[*", "[anything", True), ("a**b", "a--b", True),
        ("é", "e\u0301", False), (".+", "aa", False),
    ],
)  # fmt: skip
def test_x1_patterns_take_ids_with_any_character(pattern: str, room: str, matches: bool) -> None:
    assert (room_pattern(pattern).fullmatch(room) is not None) is matches


IDS = st.text(alphabet="ab*?[]{}/%é🚪", max_size=12)


@given(IDS)
def test_x1_an_escaped_id_matches_itself_and_every_id_matches_its_own_text(room: str) -> None:
    assert room_pattern(glob.escape(room)).fullmatch(room)
    if "[" not in room:
        assert room_pattern(room).fullmatch(room)


@given(st.text(alphabet="ab*?", max_size=10), st.text(alphabet="ab", max_size=12))
def test_without_brackets_patterns_are_those_of_fnmatch(pattern: str, room: str) -> None:
    assert (room_pattern(pattern).fullmatch(room) is not None) is fnmatchcase(room, pattern)


def test_no_pattern_is_slow() -> None:
    pattern = room_pattern("*a" * 60 + "b")
    started = time.perf_counter()
    assert pattern.fullmatch("a" * 128) is None
    assert time.perf_counter() - started < 0.5
