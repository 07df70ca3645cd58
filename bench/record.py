"""Figures, the machine they were measured on, and the table that tells both."""

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.wire import Cost
from bench.workloads import Sizes, Workload


@dataclass(frozen=True)
class Figure:
    """One measured workload. `value` is compared with `target`; `detail` holds what it was derived from."""

    workload: str
    server: str
    value: float
    unit: str
    target: float | None
    higher_is_better: bool
    detail: dict[str, Any]

    @property
    def verdict(self) -> str:
        if self.target is None:
            return "–"
        met = self.value >= self.target if self.higher_is_better else self.value <= self.target
        return "met" if met else "missed"


def ratio(workload: Workload, server: str, plain: Sequence[Cost], script: Sequence[Cost]) -> Figure:
    """The median over the rounds of script ÷ plain, by the server's CPU time; each operation's cost beside it."""

    def of_rounds(field: str) -> float:
        pairs = zip(script, plain, strict=True)
        return median(float(getattr(ours, field)) / float(getattr(theirs, field)) for ours, theirs in pairs)

    def each(costs: Sequence[Cost]) -> dict[str, float]:
        return {
            field: round(median(getattr(cost, field) for cost in costs) / workload.operations, 3)
            for field in ("cpu_us", "execution_us", "wall_us")
        }

    detail = {
        "rounds": len(script), "operations_a_round": workload.operations,
        "plain": each(plain), "script": each(script),
        "ratio_execution": round(of_rounds("execution_us"), 3), "ratio_wall": round(of_rounds("wall_us"), 3),
        "call_p50_us": median(cost.p50_us for cost in script), "call_p99_us": median(cost.p99_us for cost in script),
    }  # fmt: skip
    return Figure(workload.name, server, round(of_rounds("cpu_us"), 3), "×", workload.target, False, detail)


def machine() -> dict[str, Any]:
    """The processor, its cores, memory, kernel, and the load when asked."""
    processors = _first(r"model name\s*: (.*)", "/proc/cpuinfo") or platform.processor()
    return {
        "cpu": processors,
        "cores": os.cpu_count(),
        "memory_kib": int(_first(r"MemTotal:\s*(\d+)", "/proc/meminfo") or 0),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _first(pattern: str, path: str) -> str | None:
    try:
        match = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return match.group(1) if match else None


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("redis", "hiredis", "pytest-benchmark")},
    }


def write(folder: Path, server: str, figures: Sequence[Figure], sizes: Sizes) -> Path:
    """Write one server's figures as JSON; return the file."""
    path = folder / f"presence-{re.sub('[^a-z0-9.]+', '-', server.lower()).strip('-')}.json"
    told = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions() | {"server": server},
        "sizes": asdict(sizes),
        "figures": [asdict(figure) | {"verdict": figure.verdict} for figure in figures],
    }
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures as lines of a Markdown table."""
    lines = [
        "| workload | server | measured | target | | plain µs | script µs | wall × | call p50 / p99 µs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        told = one.detail
        costs = (
            f"{told['plain']['cpu_us']:.2f} | {told['script']['cpu_us']:.2f} | {told['ratio_wall']:.2f} | "
            f"{told['call_p50_us']:.0f} / {told['call_p99_us']:.0f}"
            if "plain" in told
            else " | | | "
        )
        shown = f"{one.value:.2f}" if one.value < 100 else f"{one.value:,.0f}"
        target = "" if one.target is None else f"{'≥' if one.higher_is_better else '≤'} {one.target:,g}"
        server = one.server.split(" (")[0]
        lines.append(f"| {one.workload} | {server} | {shown} {one.unit} | {target} | {one.verdict} | {costs} |")
    return lines
