"""docs/migration.md leads from the keys and functions of older layouts to calls and routes that exist (C1, 003-2)."""

import re
from pathlib import Path

import presence_engine
from presence_engine import PresenceEngine
from tests.server.specified import OPERATIONS

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (Path(__file__).parent.parent / "docs" / "migration.md").read_text("utf-8").splitlines()
    if line.startswith("| ")
]
KEYS = [row for row in ROWS if len(row) == 4 and row[0].startswith("`")]
FUNCTIONS = [row for row in ROWS if len(row) == 2 and row[0] != "old function"]


def calls(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)(?:\([^`]*\))?`", cell))


def test_c1_every_old_key_has_a_row() -> None:
    assert {re.sub(r"\{\w+\}|\*", "…", re.findall("`(.+?)`", key)[0]) for key, *_ in KEYS} >= {
        "room:…:participants", "user:…", "room:presence:…:…", "room:…:user:…", "room:userRoom:…",
    }  # fmt: skip


def test_003_2_every_old_function_has_a_row() -> None:
    told = " ".join(function for function, _ in FUNCTIONS)
    assert all(verb in told for verb in ("store", "refresh", "remove", "list users", "count", "is active", "clean-up"))


def test_every_row_names_what_exists() -> None:
    paths = {re.sub(r"\{\w+\}", "{}", path) for _, path in OPERATIONS}
    for key, _, call, http in KEYS:
        named = calls(call) - {"Member"}
        assert named, key
        assert all(hasattr(PresenceEngine, one) for one in named), key
        for route in re.findall(r"`(?:GET )?([^`]+)`", http):
            ending = re.sub(r"\{\w+\}", "{}", route.partition("?")[0]).removeprefix("…")
            assert any(path.endswith(ending) for path in paths), route
    for function, here in FUNCTIONS:
        assert calls(here), function
        assert all(hasattr(PresenceEngine, one) or hasattr(presence_engine, one) for one in calls(here)), function
