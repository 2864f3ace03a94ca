"""sslmode and its neighbours mean what they mean in libpq, against a real server with TLS."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from livingworld import LivingWorld, Settings
from livingworld.errors import CertificateRejected, InvalidSettings, LivingWorldError, LoginRefused, TlsRefused
from livingworld.postgres import migrations
from livingworld.postgres.driver_errors.failures import ConnectFailed
from livingworld.settings.database_url import Address
from livingworld.testing.staged_races import connected
from tests.faults.certificates import Certificates
from tests.faults.tcp_server import TcpServer, free_port, programs_with_tls, tcp_server

PASSWORD = "correct-horse"
IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

PROGRAMS = programs_with_tls()
pytestmark = [
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL with OpenSSL here, or no openssl command"),
    pytest.mark.xdist_group("a server with TLS"),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[TcpServer]:
    assert PROGRAMS is not None
    with tcp_server(PROGRAMS, certificates) as running:
        yield running


@pytest.fixture(autouse=True)
def empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No ~/.postgresql/root.crt decides for the test."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server_without_tls(server: TcpServer) -> Iterator[TcpServer]:
    server.configure("ssl", "off")
    yield server
    server.configure("ssl", "on")


async def is_encrypted(url: str) -> bool:
    async with connected(url) as connection:
        return bool(await connection.fetchval(IS_ENCRYPTED))


async def refusal(url: str) -> LivingWorldError:
    with pytest.raises(ConnectFailed) as caught:
        await is_encrypted(url)
    assert caught.value.failure.retry is None
    assert PASSWORD not in str(caught.value)
    return caught.value.failure.error


@pytest.mark.parametrize(
    ("query", "encrypted"),
    [
        ("", True),
        ("sslmode=prefer", True),
        ("sslmode=require", True),
        ("sslmode=allow", False),
        ("sslmode=disable", False),
    ],
)
async def test_a_mode_that_verifies_nothing_takes_any_certificate(
    server: TcpServer, query: str, *, encrypted: bool
) -> None:
    assert await is_encrypted(server.url(query=query)) is encrypted


async def test_a_server_on_another_machine_is_verified_without_an_sslmode(
    server: TcpServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Address, "is_local", property(lambda _: False))
    url = server.url(host="localhost")

    error = await refusal(url)
    assert isinstance(error, CertificateRejected)
    assert "sslmode" in str(error)
    assert await is_encrypted(server.url(host="localhost", query="sslmode=require"))
    monkeypatch.setenv("SSL_CERT_FILE", certificates.file("authority.crt"))
    assert await is_encrypted(url)


async def test_a_server_on_another_machine_that_has_no_tls_is_refused_by_the_name_of_the_setting(
    server_without_tls: TcpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Address, "is_local", property(lambda _: False))

    error = await refusal(server_without_tls.url())
    assert isinstance(error, TlsRefused)
    assert "sslmode" in str(error)
    assert not await is_encrypted(server_without_tls.url(query="sslmode=disable"))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_the_right_authority_and_the_right_name_are_taken(
    server: TcpServer, certificates: Certificates, mode: str
) -> None:
    query = f"sslmode={mode}&sslrootcert={certificates.file('authority.crt')}"

    assert await is_encrypted(server.url(host="localhost", query=query))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_another_authority_is_refused(server: TcpServer, certificates: Certificates, mode: str) -> None:
    """With a root certificate `require` verifies too, as in libpq."""
    query = f"sslmode={mode}&sslrootcert={certificates.file('other.crt')}"

    error = await refusal(server.url(host="localhost", query=query))
    assert isinstance(error, CertificateRejected)
    assert f"host=localhost, port={server.port}" in str(error)


async def test_verify_full_checks_the_name_and_verify_ca_does_not(
    server: TcpServer, certificates: Certificates
) -> None:
    root = certificates.file("authority.crt")

    assert await is_encrypted(server.url(host="127.0.0.1", query=f"sslmode=verify-ca&sslrootcert={root}"))
    error = await refusal(server.url(host="127.0.0.1", query=f"sslmode=verify-full&sslrootcert={root}"))
    assert isinstance(error, CertificateRejected)
    assert "127.0.0.1" in str(error)


async def test_the_authorities_of_the_machine_are_used_when_asked_for(
    server: TcpServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url(host="localhost", query="sslrootcert=system")

    assert isinstance(await refusal(url), CertificateRejected)
    monkeypatch.setenv("SSL_CERT_FILE", certificates.file("authority.crt"))
    assert await is_encrypted(url)


async def test_the_root_certificate_in_the_home_directory_is_used(
    server: TcpServer, certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / ".postgresql").mkdir()
    shutil.copy(certificates.file("other.crt"), tmp_path / ".postgresql" / "root.crt")

    assert isinstance(await refusal(server.url(query="sslmode=require")), CertificateRejected)
    assert await is_encrypted(server.url(query="sslmode=prefer"))


async def test_a_certificate_of_the_client_lets_its_role_in(server: TcpServer, certificates: Certificates) -> None:
    own = f"sslmode=require&sslcert={certificates.file('client.crt')}&sslkey={certificates.file('client.key')}"

    assert await is_encrypted(server.url("by_certificate", query=own))
    assert isinstance(await refusal(server.url("by_certificate", query="sslmode=require")), LoginRefused)


async def test_a_role_that_needs_tls_is_refused_without_it(server: TcpServer) -> None:
    assert await is_encrypted(server.url("by_tls", PASSWORD))

    error = await refusal(server.url("by_tls", PASSWORD, query="sslmode=disable"))
    assert isinstance(error, LoginRefused)
    assert "pg_hba.conf" in str(error)


async def test_a_server_without_tls_is_refused_where_tls_is_asked_for(server_without_tls: TcpServer) -> None:
    assert await is_encrypted(server_without_tls.url()) is False

    error = await refusal(server_without_tls.url(query="sslmode=require"))
    assert isinstance(error, TlsRefused)
    assert f"host=127.0.0.1, port={server_without_tls.port}" in str(error)


async def test_a_context_in_the_settings_goes_before_the_url(server: TcpServer, certificates: Certificates) -> None:
    settings = Settings.load(database_url=server.url(host="127.0.0.1"), tls_ca_file=certificates.file("authority.crt"))

    with pytest.raises(CertificateRejected):
        async with LivingWorld.open(settings) as livingworld:
            await livingworld.worlds.create("Saltmarsh")


async def test_everything_runs_with_a_url_that_verifies_the_server(
    server: TcpServer, certificates: Certificates
) -> None:
    """Migrations, their status, the pool, and the connection that listens."""
    server.administer("CREATE DATABASE verified OWNER by_tls")
    query = f"sslmode=verify-full&sslrootcert={certificates.file('authority.crt')}&connect_timeout=5"
    url = server.url("by_tls", PASSWORD, host="localhost", query=query).replace("/postgres?", "/verified?")
    await migrations.upgrade(url)

    assert not (await migrations.status(url)).pending
    async with LivingWorld.open(database_url=url) as livingworld, connected(url) as observer:
        world = await livingworld.worlds.create("Saltmarsh")
        assert (await livingworld.worlds.get(world.id)).id == world.id
        assert await observer.fetchval(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = 'verified'"
        )


@asynccontextmanager
async def tls_terminator(server: TcpServer, certificates: Certificates) -> AsyncIterator[tuple[int, list[str | None]]]:
    """Give a port that speaks TLS from the first byte, as proxies of managed databases do, and what ALPN it heard."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.file("server.crt"), certificates.file("server.key"))
    context.set_alpn_protocols(["postgresql"])
    heard: list[str | None] = []

    served: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        upstream = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer), return_exceptions=True)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(serve(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", port := free_port(), ssl=context)
    try:
        yield port, heard
    finally:
        listener.close()
        await asyncio.gather(*served)  # each ends with its client


async def test_direct_negotiation_begins_with_tls(server: TcpServer, certificates: Certificates) -> None:
    query = f"sslmode=verify-full&sslrootcert={certificates.file('authority.crt')}&sslnegotiation=direct"
    async with tls_terminator(server, certificates) as (port, heard):
        url = server.url(host="localhost", query=query).replace(f":{server.port}/", f":{port}/")

        assert await is_encrypted(url) is False  # behind the terminator
    assert heard == ["postgresql"]


@pytest.mark.parametrize(
    ("name", "authority", "reason"),
    [
        ("expired", "authority", "certificate has expired"),
        ("alone", "authority", "self-signed certificate"),
        ("alone", "alone", None),
    ],
)
async def test_a_certificate_that_has_expired_or_signed_itself_is_refused_unless_it_is_named(
    server: TcpServer, certificates: Certificates, name: str, authority: str, reason: str | None
) -> None:
    url = server.url(host="localhost", query=f"sslmode=verify-full&sslrootcert={certificates.file(f'{authority}.crt')}")
    with showing(server, name):
        if reason is None:
            assert await is_encrypted(url)
        else:
            error = await refusal(url)
            assert isinstance(error, CertificateRejected)
            assert "sslmode" in str(error)
            assert reason in str(error).replace("self signed", "self-signed")  # as OpenSSL 1.1.1 writes it
    assert await is_encrypted(server.url(query="sslmode=require"))


@contextmanager
def showing(server: TcpServer, name: str) -> Iterator[None]:
    """Have the server show another certificate for a while."""
    try:
        show(server, name)
        yield
    finally:
        show(server, "server")


def show(server: TcpServer, name: str) -> None:
    server.configure("ssl_cert_file", str(server.home / f"{name}.crt"))
    server.configure("ssl_key_file", str(server.home / f"{name}.key"))


@pytest.mark.parametrize("mode", ["VERIFY-FULL", "verify_full", "no-verify", "true", "1"])
async def test_a_mode_that_libpq_does_not_know_is_refused_by_its_name(server: TcpServer, mode: str) -> None:
    with pytest.raises(InvalidSettings, match="sslmode"):
        await is_encrypted(server.url(query=f"sslmode={mode}"))
