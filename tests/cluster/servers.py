"""A real Cluster and a real Sentinel set, of plain server processes on free ports."""

# mypy: disable-error-code="misc"
# A lambda that binds a loop variable as its default is beyond what mypy infers.

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import redis

START_S: Final = 20.0
SLOTS: Final = 16384


def free_port(*, with_bus: bool = False) -> int:
    """A free port; with_bus: one whose port + 10000 is free as well."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if not with_bus:
            return port
        with contextlib.suppress(OSError, OverflowError), socket.socket() as bus:
            bus.bind(("127.0.0.1", port + 10000))
            return port


def until(condition: Callable[[], Any], what: str, timeout_s: float = START_S) -> Any:
    give_up_at = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if found := condition():
                return found
        assert time.monotonic() < give_up_at, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.02)


class Instance:
    """One server process. `ask` sends it a command."""

    def __init__(self, binary: str, folder: Path, port: int, *options: str) -> None:
        self.port, self.folder = port, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._argv = [
            binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
            "--appendonly", "no",
            "--logfile", str(folder / "log"), *options,
        ]  # fmt: skip
        self.process = subprocess.Popen(self._argv)
        until(lambda: self.ask("PING"), f"the server on port {port}")

    def ask(self, *command: str | int) -> Any:
        with redis.Redis(port=self.port, decode_responses=True, socket_timeout=5) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(10)


class Cluster:
    """Three masters, and `replicas` of each."""

    def __init__(self, binary: str, folder: Path, *, replicas: int = 0) -> None:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf"]
        self.instances: list[Instance] = []
        for at in range(3 * (1 + replicas)):
            port = free_port(with_bus=True)
            self.instances.append(Instance(binary, folder / str(at), port, *options))

    def await_ready(self, cuts: tuple[int, int] = (SLOTS // 3, SLOTS * 2 // 3)) -> None:
        """Form the cluster. cuts: where the slots of the second and of the third master begin."""
        first, *rest = self.instances
        begins = (0, *cuts, SLOTS)
        for at, master in enumerate(self.instances[:3]):
            master.ask("CLUSTER", "ADDSLOTSRANGE", begins[at], begins[at + 1] - 1)
            master.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        for other in rest:
            other.ask("CLUSTER", "MEET", "127.0.0.1", first.port)
        until(lambda: all(self._knows_all(one) for one in self.instances), "that all know each other")
        for at, replica in enumerate(self.instances[3:]):
            master_id = self.instances[at % 3].ask("CLUSTER", "MYID")
            until(lambda r=replica, m=master_id: r.ask("CLUSTER", "REPLICATE", m), "a replica")
        until(lambda: all(self._is_ok(one) for one in self.instances), "a cluster that is up")
        until(lambda: all("master_link_status:up" in self._role(one) for one in self.instances[3:]), "replication")

    def _knows_all(self, one: Instance) -> bool:
        return f"cluster_known_nodes:{len(self.instances)}\r" in str(one.ask("CLUSTER", "INFO")).replace("\n", "\r")

    @staticmethod
    def _is_ok(one: Instance) -> bool:
        answer = one.ask("CLUSTER", "INFO")
        return "cluster_state:ok" in str(answer)

    @staticmethod
    def _role(one: Instance) -> str:
        with redis.Redis(port=one.port, decode_responses=True, socket_timeout=5) as client:
            found = client.info("replication")
        assert isinstance(found, dict)
        return " ".join(f"{name}:{value}" for name, value in found.items())

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in self.instances[:3])

    def stop(self) -> None:
        for one in self.instances:
            one.kill()


class SentinelSet:
    """A master, a replica, and three Sentinels that watch them."""

    SERVICE: Final = "presence"

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("redis-server")
        assert binary is not None
        self.master = Instance(binary, folder / "master", free_port())
        self.replica = Instance(binary, folder / "replica", free_port(), "--replicaof", f"127.0.0.1 {self.master.port}")
        until(lambda: "master_link_status:up" in Cluster._role(self.replica), "replication")
        self.sentinels = [self._watch(binary, folder / f"sentinel-{at}") for at in range(3)]

    def await_ready(self) -> None:
        until(lambda: all(self._sees(port) for _, port in self.sentinels), "that the Sentinels know each other")

    def _watch(self, binary: str, folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
        folder.mkdir(parents=True)
        port = free_port()
        (folder / "conf").write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder}/log\n"
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {self.master.port} 2\n"
            f"sentinel down-after-milliseconds {self.SERVICE} 800\n"
            f"sentinel failover-timeout {self.SERVICE} 3000\n"
        )
        return subprocess.Popen([binary, str(folder / "conf"), "--sentinel"]), port

    def _sees(self, port: int) -> bool:
        with redis.Redis(port=port, decode_responses=True, socket_timeout=5) as client:
            facts = client.sentinel_master(self.SERVICE)
        return bool(facts["num-other-sentinels"] == 2 and facts["num-slaves"] == 1)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for _, port in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.SERVICE}/0"

    def cut(self) -> None:
        """From here on the replica gets nothing. Freezing it is not enough: it would find all in its socket."""
        self.replica.process.send_signal(signal.SIGSTOP)
        until(lambda: "T" in _state_of(self.replica.process.pid), "a frozen replica")
        self.master.ask("CLIENT", "KILL", "TYPE", "replica")

    def fail_over(self) -> None:
        """The master is gone for good, with all that came since the cut."""
        self.master.kill()
        self.replica.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process, _ in self.sentinels:
            process.kill()
            process.wait(10)
        self.master.kill()
        self.replica.kill()


def _state_of(pid: int) -> str:
    """A letter, as Linux tells it; elsewhere "T", which is what is hoped for."""
    status = Path(f"/proc/{pid}/stat")
    return status.read_text("utf-8").rpartition(")")[2].split()[0] if status.exists() else "T"


@contextlib.contextmanager
def running(made: Any) -> Iterator[Any]:
    try:
        made.await_ready()
        yield made
    finally:
        made.stop()
