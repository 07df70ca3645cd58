"""The table of faults and outcomes in the documentation: written by the tests that saw them."""

from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).parents[2] / "docs" / "faults.md"
HEAD: Final = """# Faults and what comes of them

Each row is written by a test in `tests/faults` or `tests/cluster` once it has seen the outcome, with real servers,
clients and processes. After each of them every room is recounted: no ghost, no lost member, no drift.

| fault | outcome |
|---|---|
"""


class Table:
    """`table.note(fault, outcome)` is the last line of a test. Times in an outcome are bounds that it is held to."""

    def note(self, fault: str, outcome: str) -> None:
        rows = self._rows()
        if rows.get(fault) == outcome:
            return
        rows[fault] = outcome
        body = "".join(f"| {name} | {rows[name]} |\n" for name in sorted(rows))
        PATH.write_text(HEAD + body, "utf-8")

    @staticmethod
    def _rows() -> dict[str, str]:
        if not PATH.exists():
            return {}
        lines = PATH.read_text("utf-8").partition("|---|---|\n")[2].splitlines()
        cells = (line.strip("| ").split(" | ", 1) for line in lines if line.startswith("| "))
        return {cell[0]: cell[1] for cell in cells}
