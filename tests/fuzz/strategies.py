"""Payloads made from the structs that check them: right, nearly right, and nothing of the kind."""

import json
import types
import typing
from functools import cache
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

Json = Any

# Ids that come back, so that many payloads meet in the same rooms, boards and users.
KNOWN: Final = ["fuzz", "fuzz", "fuzz", "u1", 15, "15", 15.0, "a:b{c}*?[", "\u202e7", "🚪"]
ODD_NUMBERS: Final = [
    0,
    -1,
    1.5,
    2**53,
    -(2**53),
    2**63,
    10**40,
    1e308,
    -0.0,
    float("nan"),
    float("inf"),
    float("-inf"),
]
ODD_TEXTS: Final = [
    "",
    "\x00",
    "\ud800",
    "a\nb",
    "\x1e\x1f\x1d",
    "x" * 129,
    "é" * 65,
    "x" * 5000,
    "__proto__",
    "%2F",
    "../",
    "null",
]
ODD_NAMES: Final = ["", "roomId", "room_id", "userId", "user_id", "retroId", "\ud800", "__class__", "\x1f", "ok"]


def _nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = [value]
    return {"deep": value}


_texts = st.one_of(st.text(max_size=20), st.sampled_from(ODD_TEXTS))
_numbers = st.one_of(st.integers(), st.floats(), st.sampled_from(ODD_NUMBERS))
_leaves = st.one_of(st.none(), st.booleans(), _numbers, _texts)
_names = st.one_of(st.text(max_size=10), st.sampled_from(ODD_NAMES))

garbage: Final = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_names, inner, max_size=4)),
    max_leaves=8,
)
ids: Final = st.one_of(st.sampled_from(KNOWN), st.text(min_size=1, max_size=12), st.integers(-(2**53) + 1, 2**53 - 1))
_places = st.fixed_dictionaries({"x": st.one_of(_numbers, st.integers(-9, 9)), "y": st.integers(-9, 9)})
_items = st.one_of(st.sampled_from(["i", "j"]), _names)
# What no type tells.
_meant: Final[dict[str, st.SearchStrategy[Json]]] = {
    "position": _places,
    "itemPositions": st.dictionaries(_items, _places, max_size=5),
    "userVotes": st.dictionaries(st.sampled_from(["0", "1", "x"]), st.one_of(st.integers(-1, 3), _numbers), max_size=3),
    "source": st.one_of(st.sampled_from(["drag", "drag-stop", "bulk", "init-layout"]), _texts),
    "task": st.one_of(st.just("a task"), _texts),
    "assigneeName": st.one_of(st.just("somebody"), _texts),
    "timestamp": st.one_of(st.integers(0, 2**42), garbage),
}
_deep = st.integers(1, 500).map(_nested)
_long = st.integers(1, 3000).map(lambda size: {"pad": "y" * size, "list": list(range(size % 200))})


@cache
def payload(shape: Any) -> st.SearchStrategy[Json]:
    """Payloads for an event whose struct is `shape`; None: for one that takes nothing."""
    if shape is None:
        return garbage
    right = st.fixed_dictionaries(
        {field.encode_name: _of(field.name, field.type) for field in _required(shape)},
        optional={field.encode_name: _of(field.name, field.type) for field in _optional(shape)},
    )
    nearly = st.builds(_with, right, st.dictionaries(_names, garbage, max_size=2))
    broken = st.builds(_broken, right, st.integers(0, 20), st.one_of(garbage, _deep, _long))
    return st.one_of(right, right, nearly, broken, broken, garbage, _deep)


def _required(shape: Any) -> list[Any]:
    return [field for field in msgspec.structs.fields(shape) if field.required]


def _optional(shape: Any) -> list[Any]:
    return [field for field in msgspec.structs.fields(shape) if not field.required]


def _of(name: str, kind: Any) -> st.SearchStrategy[Json]:
    if name in _meant:
        return _meant[name]
    if name.endswith(("Id", "_id")):
        return ids
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _of(name, arguments[0])
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(*(_of(name, one) for one in arguments))
    if origin is list:
        return st.lists(ids if "Id" in name or name == "ids" else _of(name, arguments[0]), max_size=8)
    if origin is dict:
        return st.dictionaries(st.one_of(_names, st.sampled_from(["fuzz", "i"])), _of("", arguments[1]), max_size=4)
    known: dict[Any, st.SearchStrategy[Json]] = {
        str: _texts, int: st.one_of(st.integers(0, 1000), _numbers), float: _numbers, bool: st.booleans(),
        type(None): st.none(),
    }  # fmt: skip
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return payload(kind)
    return known.get(kind, garbage)


def _with(body: Json, more: Json) -> Json:
    return {**more, **body}


def _broken(body: Json, at: int, value: Json) -> Json:
    """One field replaced, or dropped."""
    names = list(body)
    if not names:
        return value
    name = names[at % len(names)]
    rest = {key: one for key, one in body.items() if key != name}
    return rest if at > 15 else {**rest, name: value}


def text_of(value: Json) -> str:
    """JSON as a client without manners writes it: NaN and half surrogate pairs included."""
    return json.dumps(value)
