from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from livingworld.testing.staged_races import NotBlocked, connected, holding, until_blocked, waiting_behind

pytestmark = pytest.mark.plain_server("the database has no Citus, whose views the waits of a cluster are read from")
THE_ROW = "SELECT FROM lanterns WHERE lantern = $1 FOR UPDATE"


@pytest_asyncio.fixture
async def lantern_url(empty_database_url: str) -> AsyncIterator[str]:
    async with connected(empty_database_url) as connection:
        await connection.execute("CREATE TABLE lanterns AS SELECT 1 AS lantern, 0 AS lit")
    yield empty_database_url


async def light(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("UPDATE lanterns SET lit = lit + 1")


async def lit(url: str) -> int:
    async with connected(url) as connection:
        return int(await connection.fetchval("SELECT lit FROM lanterns"))


async def test_writers_are_seen_waiting_and_go_on_when_the_holder_lets_go(lantern_url: str) -> None:
    async with holding(lantern_url, THE_ROW, [1]) as holder:
        writers = [asyncio.create_task(light(lantern_url)) for _ in range(4)]
        waiting = await holder.until_blocked(count=4)

        assert len(waiting) == 4
        assert holder.pid not in waiting
        assert not any(writer.done() for writer in writers)

    await asyncio.gather(*writers)
    assert await lit(lantern_url) == 4


async def test_a_holder_that_waits_for_an_advisory_lock_can_be_staged_too(lantern_url: str) -> None:
    async with (
        holding(lantern_url, "SELECT pg_advisory_xact_lock($1)", [7]) as holder,
        connected(lantern_url) as second,
        connected(lantern_url) as observer,
    ):
        asking = asyncio.create_task(second.execute("SELECT pg_advisory_lock(7)"))

        assert await until_blocked(observer, by=holder.pid) == {second.get_server_pid()}
        await holder.connection.execute("ROLLBACK; BEGIN")
        await asking


async def test_no_waiting_session_is_an_error_that_shows_every_session(lantern_url: str) -> None:
    async with holding(lantern_url, "SELECT FROM lanterns") as holder, connected(lantern_url) as passer_by:
        await passer_by.execute("UPDATE lanterns SET lit = 5")

        with pytest.raises(NotBlocked, match=r"0 of 2 sessions") as raised:
            await holder.until_blocked(count=2, patience=timedelta(milliseconds=50))

    assert "UPDATE lanterns SET lit = 5" in str(raised.value)
    assert f"{holder.pid} idle in transaction" in str(raised.value)


async def test_what_the_holder_did_is_rolled_back_unless_asked_otherwise(lantern_url: str) -> None:
    async with holding(lantern_url, "UPDATE lanterns SET lit = 3"):
        pass
    rolled_back = await lit(lantern_url)

    async with holding(lantern_url, "UPDATE lanterns SET lit = 3", commit=True):
        pass

    assert rolled_back == 0
    assert await lit(lantern_url) == 3


async def test_a_holder_whose_block_fails_commits_nothing(lantern_url: str) -> None:
    with pytest.raises(RuntimeError, match="in the block"):
        async with holding(lantern_url, "UPDATE lanterns SET lit = 3", commit=True):
            raise RuntimeError("in the block")

    assert await lit(lantern_url) == 0


def test_a_session_behind_a_waiting_session_counts() -> None:
    assert waiting_behind({2: [1], 3: [2], 4: [9], 5: []}, 1) == {2, 3}
