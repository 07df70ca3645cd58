"""The Lua scripts: found, put together with their includes, checked, and called by the names in their headers.

A script's file opens with what is machine-read here (see lua/README.md): purpose, KEYS, ARGV, RETURNS, REPEAT, COST.
Its sha is its identity: two releases with different scripts can serve one Redis side by side.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import Final

from presence_engine.errors import ConfigurationError

_PLACES: Final = (Path(__file__).parent / "lua", Path(__file__).parent.parent / "lua")
_ENTRY: Final = re.compile(r"^-- (KEYS|ARGV)\[(\d+)(\.\.\.)?\] (\w+) (\w+) \S.*$")
_INCLUDE: Final = re.compile(r"^--- @include (\w+)$", re.MULTILINE)
_WORD: Final = re.compile(r'"(\w+)"')
_SECTIONS: Final = ("RETURNS", "REPEAT", "COST")


class Script:
    """One script: `name` is its place below the layout's folder (`presence/join`), `sha` what EVALSHA calls it by."""

    __slots__ = ("args", "command", "keys", "name", "order", "purpose", "returns", "sha", "source", "words")

    order: Callable[[Mapping[str, object]], tuple[object, ...]]

    def __init__(self, name: str, text: str, shared: Mapping[str, str]) -> None:
        self.name = name
        lines = text.split("\n")
        if not lines[0].startswith("#!lua"):
            raise ConfigurationError(f"{name}.lua: line 1 must be #!lua")
        # The unbroken run of comment lines under the shebang.
        header = list(takewhile(lambda line: line.startswith("-- "), lines[1:]))
        self.purpose = header[0][3:]
        self.keys = self._entries(header, "KEYS")
        self.args = self._entries(header, "ARGV")
        fixed = [arg for arg in self.args if not arg.endswith("...")]
        self.order = itemgetter(*fixed) if len(fixed) > 1 else lambda values: tuple(values[arg] for arg in fixed)
        for section in _SECTIONS:
            if not any(line.startswith(f"-- {section} ") for line in header):
                raise ConfigurationError(f"{name}.lua: the header lacks {section}")
        self.returns = " ".join(line for line in header if line.startswith("-- RETURNS"))
        self.words = tuple(dict.fromkeys(_first_words(self.returns)))
        self.source = _INCLUDE.sub(lambda match: self._included(match.group(1), shared), text)
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        self.command = "EVALSHA_RO" if "no-writes" in lines[0] else "EVALSHA"

    def _included(self, part: str, shared: Mapping[str, str]) -> str:
        if part not in shared:
            raise ConfigurationError(f"{self.name}.lua includes {part}, which is not in shared/")
        return shared[part]

    def _entries(self, header: list[str], kind: str) -> tuple[str, ...]:
        """Names in order; a last one that repeats ends in `...`."""
        names: list[str] = []
        for line in header:
            match = _ENTRY.match(line)
            if line.startswith(f"-- {kind}[") and match is None:
                raise ConfigurationError(f"{self.name}.lua: cannot read the header line {line!r}")
            if match is None or match.group(1) != kind:
                continue
            if int(match.group(2)) != len(names) + 1:
                raise ConfigurationError(f"{self.name}.lua: {kind}[{match.group(2)}] is out of order")
            names.append(match.group(4) + (match.group(3) or ""))
        return tuple(names)

    @property
    def contract(self) -> str:
        """Hash of what a caller relies on: keys, arguments and reply words."""
        text = json.dumps([self.keys, self.args, self.words, self.command])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _first_words(returns: str) -> Iterator[str]:
    for group in re.findall(r'\{("\w+"(?:\|"\w+")*)', returns):
        yield from _WORD.findall(group)


def lua_folder() -> Path:
    """Return the folder of the Lua files: inside an installed package, beside the package in a checkout."""
    for place in _PLACES:
        if (place / "shared").is_dir():
            return place
    raise ConfigurationError("the Lua scripts are missing from this installation")


class ScriptLibrary(Mapping[str, Script]):
    """All scripts of a data layout, by name.

    Raises ConfigurationError when a file breaks the header rules or `manifest.json` names another sha: an installation
    with mixed files must not touch data.
    """

    def __init__(self, folder: Path | None = None, layout: str = "v1", *, check: bool = True) -> None:
        folder = folder or lua_folder()
        shared = {path.stem: path.read_text("utf-8").rstrip("\n") for path in (folder / "shared").glob("*.lua")}
        self._read: dict[str, Script] = {}
        for path in sorted((folder / layout).rglob("*.lua")):
            name = path.relative_to(folder / layout).with_suffix("").as_posix()
            self._read[name] = Script(name, path.read_text("utf-8"), shared)
        self.manifest_path = folder / "manifest.json"
        if check:
            self._check_manifest()

    def __getitem__(self, name: str) -> Script:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def manifest(self) -> dict[str, dict[str, str]]:
        return {name: {"sha": script.sha, "contract": script.contract} for name, script in self._read.items()}

    def write_manifest(self) -> None:
        self.manifest_path.write_text(json.dumps(self.manifest(), indent=2) + "\n", "utf-8")

    def _check_manifest(self) -> None:
        known = json.loads(self.manifest_path.read_text("utf-8")) if self.manifest_path.exists() else {}
        found = self.manifest()
        for name in known.keys() | found.keys():
            if known.get(name) != found.get(name):
                raise ConfigurationError(f"lua/v1/{name}.lua is not the file that lua/manifest.json names")


if __name__ == "__main__":
    ScriptLibrary(check=False).write_manifest()
