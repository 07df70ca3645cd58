"""The walls of the house, read from the syntax tree: who may know whom, and where a thing may be said."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import presence_engine

ROOT = Path(__file__).parent.parent
ENGINE = sorted((ROOT / "presence_engine").rglob("*.py"))
SERVER = sorted((ROOT / "server").rglob("*.py"))
BENCH = sorted((ROOT / "bench").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PRODUCT = [*ENGINE, *SERVER]
LUA = sorted((ROOT / "lua").rglob("*.lua"))

# A file may grow longer only with a reason. Tests get more: they are lists of scenes, read one at a time.
MAX_LINES, MAX_TEST_LINES = 300, 400
LONG: dict[str, str] = {
    "presence_engine/engine.py": "one method a verb, and their docstrings are the reference",
    "tests/presence_engine/test_embedded.py": "real processes, killed in every order",
    "tests/presence_engine/test_lifecycle.py": "one trap a test, all on the same two engines",
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", [alias.name for alias in node.names]


@pytest.mark.parametrize("path", SERVER, ids=name)
def test_the_server_uses_only_what_the_library_exports(path: Path) -> None:
    for module, names in imports(path):
        if module.split(".")[0] == "presence_engine":
            assert module == "presence_engine", f"{module} is an inside of the library"
            assert set(names) <= set(presence_engine.__all__)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "presence_engine":
            assert node.attr in presence_engine.__all__


@pytest.mark.parametrize("path", ENGINE, ids=name)
def test_the_library_does_not_know_the_server(path: Path) -> None:
    allowed_elsewhere = {"server", "tests", "bench", "socketio", "starlette", "uvicorn"}
    assert not {module.split(".")[0] for module, _ in imports(path)} & allowed_elsewhere


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    if name(path) == "server/settings.py":
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"environ", "environb", "getenv"} or not _is_os(node.value), f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not {alias.name for alias in node.names} & {"environ", "environb", "getenv"}


def _is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "os"


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every piece of text in the code that is no docstring."""
    module = tree(path)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", [path for path in PRODUCT if name(path) != "presence_engine/keys.py"], ids=name)
def test_only_keys_spells_a_key_or_a_channel(path: Path) -> None:
    spelled = re.compile(
        r"pr1:|:(deadlines|members|roster|removed|feed)$|\}:(due|rooms|node|user|room)\b|retro:room:state"
    )
    assert [(line, text) for line, text in _texts(path) if spelled.search(text)] == []


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_only_the_store_and_the_scripts_speak_evalsha(path: Path) -> None:
    if name(path) in {"presence_engine/store.py", "presence_engine/scripts.py", "presence_engine/pipe.py"}:
        return
    assert [(line, text) for line, text in _texts(path) if "EVAL" in text.upper().split("_")[0]] == []


@pytest.mark.parametrize("path", [*PRODUCT, *BENCH, *TESTS], ids=name)
def test_no_module_is_named_after_nothing(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}


def too_long(path: Path) -> bool:
    return len(path.read_text("utf-8").splitlines()) > (MAX_TEST_LINES if path in TESTS else MAX_LINES)


@pytest.mark.parametrize("path", [*PRODUCT, *BENCH, *TESTS, *LUA], ids=name)
def test_a_file_is_short_or_has_a_reason(path: Path) -> None:
    assert name(path) in LONG or not too_long(path)


def test_no_reason_is_kept_for_a_file_that_is_short_or_gone() -> None:
    assert [file for file in LONG if not (ROOT / file).exists() or not too_long(ROOT / file)] == []


def test_the_exports_are_sorted_and_exist() -> None:
    order = sorted(presence_engine.__all__, key=lambda one: (not one.isupper(), one[0].islower(), one))
    assert presence_engine.__all__ == order, "constants, then classes, then functions"
    assert [one for one in presence_engine.__all__ if not hasattr(presence_engine, one)] == []


def test_everything_that_is_public_is_exported() -> None:
    public = {
        alias.asname or alias.name
        for node in tree(ROOT / "presence_engine" / "__init__.py").body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert public == set(presence_engine.__all__)


def _documented(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Public classes with their public methods, and public functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from _documented(child)


def _exported(path: Path, node: ast.AST) -> bool:
    own: Any = getattr(presence_engine, getattr(node, "name", ""), None)
    return getattr(own, "__module__", "") == f"presence_engine.{path.stem}" and own.__name__ in presence_engine.__all__


def test_every_export_has_a_docstring() -> None:
    missing = []
    for path in ENGINE:
        for node in filter(lambda node: _exported(path, node), _documented(tree(path))):
            parts = [node, *(_documented(node) if isinstance(node, ast.ClassDef) else ())]
            missing += [f"{name(path)}:{node.name}.{part.name}" for part in parts if not ast.get_docstring(part)]
    assert missing == []


def test_nothing_asks_redis_for_all_its_keys() -> None:
    """C3: no SCAN, no KEYS, anywhere in the product."""
    command = re.compile(r"^([HSZ]?SCAN|KEYS|SMEMBERS|FLUSHALL|FLUSHDB|RANDOMKEY)$")
    # `KEYS` is also what a script's header calls its keys.
    paths = [path for path in PRODUCT if path.name != "scripts.py"]
    found = [(name(path), line) for path in paths for line, text in _texts(path) if command.match(text)]
    calls = [
        (name(path), node.lineno)
        for path in PRODUCT
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"scan_iter", "scan", "hscan_iter", "flushall", "flushdb"}
    ]
    assert found + calls == []


# What python-socketio knows of rooms: who is in them in this process. Presence is in Redis, so only the transport,
# which sends to one socket by the room that has its name, may ask. `leave_room` is also an event: a text, no attribute.
ROOMS_OF_SOCKET_IO = {"enter_room", "leave_room", "close_room", "get_participants", "get_rooms", "basic_enter_room",
                      "basic_leave_room", "basic_close_room"}  # fmt: skip
# Of python-socketio's classes; a manager that speaks to other servers by itself would be a second feed.
TAKEN_OF_SOCKET_IO = {"ASGIApp", "AsyncManager", "AsyncNamespace", "AsyncServer", "exceptions"}
TRANSPORT = "server/sockets/transport.py"


def _said_of(node: ast.expr) -> str:
    """The last name of what an attribute or a method is taken from: `sockets` for `self._sockets.emit`."""
    return ast.unparse(node).rpartition(".")[2].lstrip("_")


def asks_socket_io(node: ast.AST) -> bool:
    """Whether this part of the code knows, or asks python-socketio, who is in a room."""
    if isinstance(node, ast.Attribute):
        match _said_of(node.value):
            case "sockets" | "server" | "manager" if node.attr == "rooms":
                return True
            case "socketio":
                return node.attr not in TAKEN_OF_SOCKET_IO
        return node.attr in ROOMS_OF_SOCKET_IO
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] == "socketio"
    # Also by way of getattr; only `leave_room` is a word of the wire.
    return isinstance(node, ast.Constant) and node.value in ROOMS_OF_SOCKET_IO - {"leave_room"}


@pytest.mark.parametrize("path", [path for path in PRODUCT if name(path) != TRANSPORT], ids=name)
def test_000_10_nobody_asks_socket_io_who_is_in_a_room(path: Path) -> None:
    """000-6, 000-10, 001-3: no fallback to its rooms, which are this process's memory and end with it."""
    assert [node.lineno for node in ast.walk(tree(path)) if asks_socket_io(node)] == []  # type: ignore[attr-defined]


def emits(path: Path) -> list[ast.Call]:
    """Calls of python-socketio's own sending, which takes a room's name, or no name for everybody."""
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "emit"]


def test_000_6_python_socketio_is_given_one_socket_at_a_time() -> None:
    """000-6: what more than one socket gets goes through `send_many`, to sessions that heard of it from Redis."""
    assert [name(path) for path in SERVER if emits(path)] == [TRANSPORT]
    for call in emits(ROOT / TRANSPORT):
        to = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}.get("to")
        assert to in {"session.sid", "sid"}, f"line {call.lineno}"


def test_000_10_the_transport_asks_for_one_name_only() -> None:
    """`LocalManager.emit` looks up the sockets of a room; python-socketio gives each socket one of its own."""
    asking = [node for node in ast.walk(tree(ROOT / TRANSPORT)) if asks_socket_io(node)]
    # Packets are what it is made to send.
    asked = [node for node in asking if ast.unparse(node) != "from socketio import packet"]
    assert sorted(getattr(node, "attr", "") for node in asked) == ["get_participants", "rooms"]
