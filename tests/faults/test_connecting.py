"""A connection that cannot be made says why, where, and what to do; of several hosts the one that can is found."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pytest

from livingworld import LivingWorld, Settings
from livingworld.embedded_server import find_binaries
from livingworld.errors import (
    ConnectionRejected,
    ConnectTimeout,
    DatabaseMissing,
    HostNotFound,
    LivingWorldError,
    LoginRefused,
    NoMatchingServer,
    ServerNotReady,
    ServerNotRunning,
    TooManyConnections,
    Unavailable,
    WrongPassword,
)
from livingworld.observability import events
from livingworld.postgres.connections.connecting import connect
from livingworld.postgres.driver_errors.failures import ConnectFailed
from livingworld.settings.database_url import connection_target
from livingworld.testing.recorded_events import recorded_events
from livingworld.testing.server import ServerAddress
from livingworld.testing.staged_races import connected
from tests.faults.tcp_server import TcpServer, free_port, tcp_server
from tests.support.command import run_command
from tests.support.patience import patiently

pytestmark = pytest.mark.xdist_group("a server with passwords")
PASSWORD: Final = "correct-horse"


@pytest.fixture(scope="module")
def server() -> Iterator[TcpServer]:
    with tcp_server(find_binaries()) as running:
        yield running


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def refusal(url: str, *, tries: int, **settings: object) -> LivingWorldError:
    """Return what a call ends with; it is tried so often, and says where without saying the password."""
    loaded = Settings.load(database_url=url, outage_retries=1, **settings)
    with recorded_events() as recorded, pytest.raises(LivingWorldError) as caught:
        async with LivingWorld.open(loaded) as livingworld:
            await livingworld.worlds.create("Saltmarsh")
    assert len(recorded.of(events.RETRIED)) == tries - 1
    assert isinstance(caught.value, Unavailable) is (tries > 1)
    assert isinstance(caught.value, ConnectionRejected) is (tries == 1)
    assert PASSWORD not in f"{caught.value} {caught.value!r} {vars(caught.value)} {caught.value.__cause__}"
    return caught.value


def said_where(error: LivingWorldError, server: TcpServer) -> bool:
    return f"host=127.0.0.1, port={server.port}" in str(error)


async def test_a_wrong_password(server: TcpServer) -> None:
    for password in (f"{PASSWORD}!", ""):
        error = await refusal(server.url("writer", password), tries=1)

        assert isinstance(error, WrongPassword)
        assert said_where(error, server)
        assert "user=writer" in str(error)


async def test_a_database_that_is_not_there(server: TcpServer) -> None:
    error = await refusal(server.url().replace("/postgres", "/nowhere"), tries=1)

    assert isinstance(error, DatabaseMissing)
    assert said_where(error, server)
    assert "database=nowhere" in str(error)


@pytest.mark.parametrize("user", ["nobody", "unwanted"])
async def test_a_role_that_is_not_there_or_not_let_in(server: TcpServer, user: str) -> None:
    error = await refusal(server.url(user), tries=1)

    assert isinstance(error, LoginRefused)
    assert said_where(error, server)
    assert f"user={user}" in str(error)


async def test_a_database_that_accepts_no_connection(server: TcpServer) -> None:
    server.administer("CREATE DATABASE closed WITH ALLOW_CONNECTIONS false")

    error = await refusal(server.url().replace("/postgres", "/closed"), tries=1)
    assert said_where(error, server)
    assert "reason=55000" in str(error)


async def test_an_unknown_host() -> None:
    error = await refusal(f"postgresql://u:{PASSWORD}@nowhere.invalid/d", tries=2)

    assert isinstance(error, HostNotFound)
    assert "host=nowhere.invalid, port=5432" in str(error)


async def test_a_closed_port() -> None:
    for host in ("127.0.0.1", "localhost"):
        port = free_port()
        error = await refusal(f"postgresql://u:{PASSWORD}@{host}:{port}/d", tries=2)

        assert isinstance(error, ServerNotRunning)
        assert f"host={host}, port={port}" in str(error)


async def test_a_socket_that_is_not_there() -> None:
    error = await refusal("postgresql:///d?host=/nowhere", tries=2)

    assert isinstance(error, ServerNotRunning)
    assert "host=/nowhere, port=5432" in str(error)


async def test_a_host_that_says_nothing(silent_port: int) -> None:
    limit = timedelta(milliseconds=100)
    error = await refusal(f"postgresql://u:{PASSWORD}@127.0.0.1:{silent_port}/d", tries=2, connect_timeout=limit)

    assert isinstance(error, ConnectTimeout)
    assert f"host=127.0.0.1, port={silent_port}" in str(error)


async def test_the_connect_timeout_of_the_url_goes_before_the_setting(silent_port: int) -> None:
    target = connection_target(f"postgresql://u@127.0.0.1:{silent_port}/d?connect_timeout=1")

    async with patiently():
        with pytest.raises(ConnectFailed) as caught:
            await connect(target, timeout=timedelta(hours=1))
    assert isinstance(caught.value.failure.error, ConnectTimeout)


async def test_too_many_connections(server: TcpServer) -> None:
    async with connected(server.url("few")):
        error = await refusal(server.url("few"), tries=2)

    assert isinstance(error, TooManyConnections)
    assert said_where(error, server)


async def test_a_server_that_shuts_down(server: TcpServer) -> None:
    async with connected(server.url()):
        server.shut_down_behind_the_last_session()
        try:
            error = await refusal(server.url(), tries=2)
        finally:
            server.stop()
            server.start()

    assert isinstance(error, ServerNotReady)
    assert said_where(error, server)


async def test_a_command_says_it_in_one_line(server: TcpServer) -> None:
    result = await asyncio.to_thread(run_command, "db", "status", "--url", server.url("writer", f"{PASSWORD}!"))

    assert result.returncode == 1
    assert result.stderr.startswith("livingworld: The server refuses the password of this user")
    assert PASSWORD not in result.stdout + result.stderr


async def port_of(url: str) -> int:
    async with connected(url) as connection:
        port: int = await connection.fetchval("SELECT inet_server_port()")
        return port


async def test_the_next_host_is_tried_when_the_first_is_dead(server: TcpServer) -> None:
    url = f"postgresql://trusted@127.0.0.1:{free_port()},nowhere.invalid:1,127.0.0.1:{server.port}/postgres"

    assert await port_of(url) == server.port


async def test_a_first_host_that_says_nothing_takes_its_own_time_only(server: TcpServer, silent_port: int) -> None:
    hosts = f"127.0.0.1:{silent_port},127.0.0.1:{server.port}"

    async with patiently():
        assert await port_of(f"postgresql://trusted@{hosts}/postgres?connect_timeout=1") == server.port


async def test_a_host_that_says_no_is_the_last_one(server: TcpServer) -> None:
    """As in libpq: a wrong password is wrong, whatever the next host would say."""
    hosts = f"127.0.0.1:{server.port},127.0.0.1:{free_port()}"
    error = await refusal(f"postgresql://writer:{PASSWORD}!@{hosts}/postgres", tries=1)

    assert isinstance(error, WrongPassword)


async def test_when_no_host_takes_it_each_is_named() -> None:
    first, second = free_port(), free_port()
    error = await refusal(f"postgresql://u:{PASSWORD}@127.0.0.1:{first},nowhere.invalid:{second}/d", tries=2)

    assert f"127.0.0.1:{first} ServerNotRunning; nowhere.invalid:{second} HostNotFound" in str(error)


@pytest.fixture
def read_only(server: TcpServer) -> Iterator[TcpServer]:
    server.configure("default_transaction_read_only", "on")
    yield server
    server.configure("default_transaction_read_only", "off")


async def test_the_host_that_takes_writes_is_found(read_only: TcpServer, postgresql_server: ServerAddress) -> None:
    """The other one is the tests' own; the first lets in the role that they use."""
    hosts = f"host=127.0.0.1,{postgresql_server.host}&port={read_only.port},{postgresql_server.port}"
    login = f"user={postgresql_server.user}&password={postgresql_server.password or ''}"
    url = f"postgresql:///postgres?{hosts}&{login}"

    async with connected(f"{url}&target_session_attrs=read-write") as connection:
        assert await connection.fetchval("SHOW default_transaction_read_only") == "off"
    async with connected(f"{url}&target_session_attrs=prefer-standby") as connection:
        assert not await connection.fetchval("SELECT pg_is_in_recovery()")


async def test_when_no_host_takes_writes_that_is_said(read_only: TcpServer) -> None:
    error = await refusal(read_only.url(query="target_session_attrs=read-write"), tries=2)

    assert isinstance(error, NoMatchingServer)
    assert said_where(error, read_only)
