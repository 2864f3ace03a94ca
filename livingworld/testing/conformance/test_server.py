"""What livingworld needs of a server before any story is written."""

from __future__ import annotations

from typing import Final

import pytest

from livingworld.postgres import migrations
from livingworld.schema import metadata
from livingworld.testing.conformance.conftest import Processes
from livingworld.testing.staged_races import connected
from livingworld.testing.stress.observing import direct_url

pytestmark = pytest.mark.asyncio

_OLDEST: Final = 150_000
_SETTINGS: Final = {"fsync": "on", "full_page_writes": "on"}
_DURABLE: Final = frozenset({"on", "local", "remote_write", "remote_apply"})


async def test_the_version_is_supported(processes: Processes) -> None:
    """Prove that the server is PostgreSQL 15 or newer."""
    async with connected(direct_url(processes.url)) as connection:
        assert int(await connection.fetchval("SHOW server_version_num")) >= _OLDEST


async def test_what_is_confirmed_survives_a_crash(processes: Processes) -> None:
    """Prove that no setting lets the server confirm what a crash would lose."""
    async with connected(direct_url(processes.url)) as connection:
        found = {name: await connection.fetchval(f"SHOW {name}") for name in (*_SETTINGS, "synchronous_commit")}
    assert found.pop("synchronous_commit") in _DURABLE
    assert found == _SETTINGS


async def test_the_tables_are_those_of_this_release(processes: Processes) -> None:
    """Prove that tables, constraints, indexes and functions are complete: many promises are constraints."""
    assert await migrations.check(direct_url(processes.url), metadata) == []
