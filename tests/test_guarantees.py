"""docs/guarantees.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", (ROOT / "docs" / "guarantees.md").read_text("utf-8"))))


def test_tests_are_named() -> None:
    assert len(NAMED) > 10


@pytest.mark.parametrize("named", NAMED)
def test_a_promise_is_shown_by_a_test_that_exists(named: str) -> None:
    file, _, name = named.partition("::")
    text = (ROOT / file).read_text("utf-8")
    assert f"def {name or 'test_'}" in text
