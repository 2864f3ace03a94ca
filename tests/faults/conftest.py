"""A LivingWorld behind a proxy that can fail, somebody who watches the database, and a loop that forgives nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from livingworld import LivingWorld, World
from livingworld.embedded_server import EmbeddedServer, find_binaries
from livingworld.errors import EmbeddedServerFailed
from livingworld.postgres.transactions import retry
from livingworld.testing.protocol_proxy import ProtocolProxy, protocol_proxy
from livingworld.testing.staged_races import Connection, connected
from tests.support.embedded_servers import make_home, remove_home
from tests.support.initialised_once import with_data


@pytest.fixture(autouse=True)
def _without_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send no statement but those of the calls: a fault is placed by counting them."""
    monkeypatch.setenv("LIVINGWORLD_INDEX_WORDS", "false")


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once; how long the pauses are is no part of what is tested."""
    monkeypatch.setattr(retry, "_FIRST_WAIT_SECONDS", dict.fromkeys(retry._FIRST_WAIT_SECONDS, 0.001))


@pytest_asyncio.fixture
async def strict_loop() -> AsyncIterator[None]:
    """Fail when a task, a future or a callback of the test failed without anybody hearing of it."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    yield
    gc.collect()
    assert not heard, heard


@pytest_asyncio.fixture
async def observer(database_url: str) -> AsyncIterator[Connection]:
    """Give a connection past every fault."""
    async with connected(database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def proxy(database_url: str) -> AsyncIterator[ProtocolProxy]:
    """Give a proxy in front of the test's database."""
    async with protocol_proxy(database_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def livingworld(proxy: ProtocolProxy, no_patience: None, strict_loop: None) -> AsyncIterator[LivingWorld]:
    """Give a LivingWorld that reaches its database through the proxy."""
    async with LivingWorld.open(database_url=proxy.url) as opened:
        yield opened


@pytest_asyncio.fixture
async def world(livingworld: LivingWorld) -> World:
    """Give a world behind the proxy."""
    return await livingworld.worlds.create("Saltmarsh")


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """Give a running embedded server that `LivingWorld.open()` shares, with fsync on."""
    try:
        find_binaries()
    except EmbeddedServerFailed as error:
        pytest.skip(str(error))
    home = with_data(make_home())
    monkeypatch.setenv("LIVINGWORLD_HOME", str(home))
    monkeypatch.delenv("LIVINGWORLD_DATABASE_URL", raising=False)
    try:
        with EmbeddedServer(home) as server:
            yield server
    finally:
        remove_home(home)
