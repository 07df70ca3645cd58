"""A Cluster and a Sentinel that are reached over TLS only by those who know their certificate."""

import ipaddress
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from presence_engine import EngineSettings, Joined, PresenceEngine, StoreUnavailable
from tests.cluster.servers import SLOTS, Instance, free_port, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def tls_options(folder: Path) -> list[str]:
    """A key and a certificate for 127.0.0.1, signed by itself, as options of a server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "presence")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files = {"cert": folder / "cert.pem", "key": folder / "key.pem", "ca-cert": folder / "cert.pem"}
    given = [text for option, path in files.items() for text in (f"--tls-{option}-file", str(path))]
    return [*given, "--tls-auth-clients", "no"]


@pytest.fixture
def binary() -> str:
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed")
    return found


@pytest.fixture
def cluster_port(binary: str, folder: Path, tls_options: list[str]) -> Iterator[int]:
    """One node that has every slot."""
    port = free_port(with_bus=True)
    options = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--tls-cluster", "yes"]
    node = Instance(binary, folder / "node", free_port(), "--tls-port", str(port), *options, *tls_options)
    node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
    until(lambda: "cluster_state:ok" in str(node.ask("CLUSTER", "INFO")), "a cluster that is up")
    yield port
    node.kill()


@pytest.fixture
def sentinel_port(binary: str, folder: Path, tls_options: list[str]) -> Iterator[int]:
    port, master_port = free_port(), free_port()
    master = Instance(binary, folder / "master", free_port(), "--tls-port", str(master_port), *tls_options)
    (folder / "conf").write_text(f"port 0\ntls-port {port}\nsentinel monitor s 127.0.0.1 {master_port} 1\n")
    own = ["--tls-replication", "yes", "--bind", "127.0.0.1", "--logfile", str(folder / "sentinel.log"), *tls_options]
    sentinel = subprocess.Popen([binary, str(folder / "conf"), "--sentinel", *own])
    until(lambda: "+monitor" in (folder / "sentinel.log").read_text(), "the Sentinel")
    yield port
    sentinel.kill()
    sentinel.wait(10)
    master.kill()


async def join_over(url: str) -> None:
    async with PresenceEngine(url, settings=EngineSettings(partitions=4)) as engine:
        heard: list[bytes] = []
        feed = engine.open_feed(on_lost=lambda: None, on_restored=lambda: None)
        await feed.subscribe(engine.channel("room"), heard.append)
        assert isinstance(await engine.join("room", "u", "c"), Joined)
        assert (await engine.count("room")).count == 1
        await feed.close()


async def test_a_cluster_over_tls(cluster_port: int, folder: Path) -> None:
    address = f"rediss+cluster://127.0.0.1:{cluster_port}"
    await join_over(f"{address}?ssl_ca_certs={folder}/cert.pem")
    with pytest.raises(StoreUnavailable, match="certificate"):
        await join_over(address)


async def test_sentinels_over_tls(sentinel_port: int, folder: Path) -> None:
    address = f"rediss+sentinel://127.0.0.1:{sentinel_port}/s"
    await join_over(f"{address}?ssl_ca_certs={folder}/cert.pem")
    with pytest.raises(StoreUnavailable, match="none of 1 Sentinels"):
        await join_over(address)
