"""Every word a script's header promises was answered by some test of that script. Runs last."""

from pathlib import Path

import pytest

from presence_engine.scripts import ScriptLibrary
from tests.lua.conftest import NOT_WHOLE

LIBRARY = ScriptLibrary()


def file_of(name: str) -> Path:
    kind, verb = name.split("/")
    return Path(__file__).parent / ("" if kind == "presence" else kind) / f"test_{verb}.py"


@pytest.mark.parametrize("name", LIBRARY)
def test_every_word_was_answered(name: str, request: pytest.FixtureRequest, seen_words: dict[str, set[str]]) -> None:
    if file_of(name) not in {item.path for item in request.session.items} or file_of(name) in NOT_WHOLE:
        pytest.skip(f"not all tests of {name} were chosen")
    assert set(LIBRARY[name].words) == seen_words[name]


@pytest.mark.parametrize("name", LIBRARY)
def test_every_script_has_a_test_file(name: str) -> None:
    assert file_of(name).exists()
