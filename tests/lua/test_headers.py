"""The rules of a script file, held for every one of them (see lua/README.md)."""

import json
import re
from pathlib import Path

import pytest

from presence_engine import ConfigurationError
from presence_engine.scripts import Script, ScriptLibrary, lua_folder

LIBRARY = ScriptLibrary(check=False)
SHARED = sorted((lua_folder() / "shared").glob("*.lua"))
FILES = [*sorted((lua_folder() / "v1").rglob("*.lua")), *SHARED]
READERS = {
    f"presence/{verb}"
    for verb in "audit count counts due ended held index lag list nodes removals rooms where".split()  # noqa: SIM905
}
# Whole tables whose size something else bounds far below 8,000, which is where Lua's unpack fails (X3).
BOUNDED = {
    "unpack(gone.users)": "a sweep's limit",
    "unpack(gone.forgotten)": "a sweep's limit",
    "unpack(gone.reasons)": "a sweep's limit, twice",
    "unpack(ARGV, 4)": "1,000 slots, by the header",
    "unpack(moves)": "1,000 slots, twice",
    "unpack(users)": "a page's or a sweep's limit",
    "unpack(stay)": "a sweep's limit, twice",
    "unpack(KEYS)": "the keys of the header",
    "unpack(items)": "the positions of one bulk call, bounded by the caller's check",
}
HEAD = "#!lua\n-- Purpose.\n{lines}\n-- RETURNS {{\"ok\"}}\n-- REPEAT nothing\n-- COST O(1)\nreturn {{'ok'}}\n"


def ident(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=ident)
def test_no_search_over_keys_and_no_json(path: Path) -> None:
    """C3, T2.3: no SCAN, no KEYS command, client JSON is never decoded."""
    code = re.sub(r"--[^\n]*", "", path.read_text("utf-8"))
    assert not re.search(r"""['"](SCAN|[HSZ]SCAN|KEYS|SMEMBERS|FLUSH\w*)['"]""", code, re.IGNORECASE)
    assert "cjson" not in code
    assert "cmsgpack" not in code


@pytest.mark.parametrize("path", FILES, ids=ident)
def test_every_unpack_is_bounded(path: Path) -> None:
    """X3."""
    calls = re.findall(r"unpack\((?:[^()]|\([^()]*\))*\)", path.read_text("utf-8"))
    assert [call for call in calls if call.count(",") < 2 and call not in BOUNDED] == []


@pytest.mark.parametrize("path", FILES, ids=ident)
def test_a_file_is_small(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    body = [line for line in lines if line.strip() and not line.startswith("--") and not line.startswith("#!")]
    assert len(body) <= 80
    assert max(len(line) for line in body) <= 130


def test_time_is_read_only_in_shared_files() -> None:
    """A script asks `clock`, which a test may stand in for."""
    assert [ident(path) for path in FILES if path not in SHARED and "'TIME'" in path.read_text("utf-8")] == []


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_the_header_says_what_the_file_uses(name: str) -> None:
    script = LIBRARY[name]
    keys = {int(n) for n in re.findall(r"\bKEYS\[(\d+)\]", script.source.split("-- COST", 1)[1])}
    args = {int(n) for n in re.findall(r"\bARGV\[(\d+)\]", script.source.split("-- COST", 1)[1])}
    assert keys <= set(range(1, len(script.keys) + 1))
    assert args <= set(range(1, len(script.args) + 1))
    assert script.words
    assert script.purpose.endswith(".")
    assert len(script.args) <= 8


@pytest.mark.parametrize("name", sorted(name for name in LIBRARY if name.startswith("presence/")))
def test_readers_say_so_and_what_must_work_on_a_full_redis_too(name: str) -> None:
    first = LIBRARY[name].source.split("\n", 1)[0]
    if name in READERS:
        assert (first, LIBRARY[name].command) == ("#!lua flags=no-writes", "EVALSHA_RO")
    elif name in {"presence/join", "presence/update"}:
        assert first == "#!lua"
    else:
        assert first == "#!lua flags=allow-oom"
        assert LIBRARY[name].command == "EVALSHA"


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_includes_lie_one_level_deep(name: str) -> None:
    assert "@include" not in LIBRARY[name].source


def test_only_one_file_removes_and_only_one_publishes() -> None:
    for path in FILES:
        text = path.read_text("utf-8")
        if "presence" in path.parts and path.stem != "layout":
            assert "PUBLISH" not in text, path
            assert "ZREMRANGEBYRANK" not in text, path
            assert not re.search(r"'(ZREM|HDEL|DEL)', (DEADLINES|MEMBERS|ROSTER)", text) or path.stem == "detach"


def test_the_manifest_is_current() -> None:
    manifest = json.loads((lua_folder() / "manifest.json").read_text("utf-8"))
    assert manifest == LIBRARY.manifest(), "run python -m presence_engine.scripts"


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("-- no shebang\n", "#!lua"),
        (HEAD.format(lines="-- KEYS[2] deadlines zset x"), "KEYS[2]"),
        (HEAD.format(lines="-- KEYS[1] deadlines"), "KEYS[1]"),
        (HEAD.format(lines="-- ARGV[1] a ms x\n-- ARGV[3] b ms x"), "ARGV[3]"),
        (HEAD.format(lines="-- KEYS[1] a zset x").replace("-- REPEAT nothing\n", ""), "REPEAT"),
        (HEAD.format(lines="-- KEYS[1] a zset x").replace("-- COST O(1)\n", ""), "COST"),
        (HEAD.format(lines="-- KEYS[1] a zset x").replace("return", "--- @include nothing\nreturn"), "nothing"),
    ],
)
def test_a_broken_header_is_refused_by_name(text: str, culprit: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Script("presence/bad", text, {})
    assert "presence/bad" in str(caught.value)
    assert culprit in str(caught.value)


def test_a_script_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    """An installation with mixed files must not touch data."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "v1" / "presence").mkdir(parents=True)
    path = tmp_path / "v1" / "presence" / "one.lua"
    path.write_text(HEAD.format(lines="-- KEYS[1] a zset x"), "utf-8")
    ScriptLibrary(tmp_path, check=False).write_manifest()
    assert list(ScriptLibrary(tmp_path)) == ["presence/one"]
    path.write_text(path.read_text("utf-8") + "-- changed\n", "utf-8")
    with pytest.raises(ConfigurationError, match="presence/one"):
        ScriptLibrary(tmp_path)
    path.unlink()
    with pytest.raises(ConfigurationError, match="presence/one"):
        ScriptLibrary(tmp_path)
