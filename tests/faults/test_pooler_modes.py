"""Behind a pooler a call costs what it costs without one, where the pooler and the role allow that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
from sqlalchemy import make_url

from livingworld import LivingWorld, NewScene, Settings, World
from livingworld.errors import InvalidSettings, LimitsMissing, SerializationFailure, StatementTimeout
from livingworld.postgres.connections.pooler import find_pooler
from livingworld.settings.database_url import parse_url
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import Connection, connected
from tests.isolation.regimes import poison, running, while_held
from tests.support.command import run_command
from tests.support.pooler import PGBOUNCER, ask_pooler, keeps_statements, pooled
from tests.support.quiet import open_quietly

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer (Debian's package)")
needs_statements = pytest.mark.skipif(
    PGBOUNCER is not None and not keeps_statements(), reason="this PgBouncer keeps no prepared statements: before 1.21"
)
of_locks = pytest.mark.plain_server("a distributed database sets the limit of locks itself")
BY_ROLE: Final = {"behind_pooler": True, "limits": "role"}
LIMITS: Final = {
    "statement_timeout": "30000ms",
    "lock_timeout": "25ms",
    "idle_in_transaction_session_timeout": "60000ms",
    "default_transaction_isolation": "read committed",
}


@pytest.fixture
def pooler_url(database_url: str) -> Iterator[str]:
    with pooled(database_url, sessions=2) as url:
        yield url


@pytest.fixture
async def limited_url(database_url: str, observer: Connection) -> AsyncIterator[str]:
    """Give the URL through a pooler to a database whose sessions have every limit."""
    for name, value in LIMITS.items():
        await observer.execute(f"ALTER DATABASE \"{make_url(database_url).database}\" SET {name} = '{value}'")
    with pooled(database_url, sessions=2) as url:
        yield url


async def opened_world(livingworld: LivingWorld, world: World) -> World:
    return await livingworld.worlds.get(world.id)


@of_locks
async def test_a_role_without_limits_is_refused_and_each_of_them_is_named(pooler_url: str) -> None:
    async with LivingWorld.open(Settings.load(database_url=pooler_url, **BY_ROLE)) as livingworld:
        with pytest.raises(LimitsMissing) as refused:
            await livingworld.worlds.list()

    assert all(name in str(refused.value) for name in LIMITS if name != "default_transaction_isolation")


async def test_a_role_that_reads_repeatably_is_refused(limited_url: str, observer: Connection) -> None:
    name = await observer.fetchval("SELECT current_database()")
    await observer.execute(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'")
    async with LivingWorld.open(Settings.load(database_url=limited_url, **BY_ROLE)) as livingworld:
        with pytest.raises(LimitsMissing, match="default_transaction_isolation"):
            await livingworld.worlds.list()


def test_a_pooler_takes_no_limits_from_a_session() -> None:
    with pytest.raises(InvalidSettings, match="limits"):
        Settings.load(behind_pooler=True, limits="session")


async def test_limits_of_the_role_cost_no_round_trip(limited_url: str, world: World) -> None:
    async with protocol_proxy(limited_url) as proxy, open_quietly(proxy.url, **BY_ROLE) as livingworld:
        there = await opened_world(livingworld, world)
        story = await there.stories.create("The Causeway")
        await there.stories.append_scene(story.id, NewScene("Fog."))
        proxy.statements.clear()
        await there.stories.append_scene(story.id, NewScene("Rain."))
        await there.stories.head(story.id)
        sent = list(proxy.statements)

    assert len(sent) == 2, sent
    assert "append_plain_scene_v1" in sent[0]


async def test_what_takes_too_long_is_cancelled_through_the_pooler(
    database_url: str, limited_url: str, world: World
) -> None:
    await poison(database_url)
    async with LivingWorld.open(Settings.load(database_url=limited_url, **BY_ROLE)) as livingworld:
        there = await opened_world(livingworld, world)
        slow, *stories = [await there.stories.create(f"{number}") for number in range(5)]
        async with running([there.stories.append_scene(slow.id, NewScene("slow"))]) as (waiting,):
            answers = await while_held([there.stories.append_scene(story.id, NewScene("quick")) for story in stories])

            assert [scene.number for scene in answers] == [1] * len(stories)
            assert not waiting.done()
            async with connected(database_url) as connection:
                await connection.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event = 'PgSleep'"
                )
            assert isinstance((await while_held([waiting]))[0], StatementTimeout)


@needs_statements
async def test_prepared_statements_are_found_on_every_session(
    database_url: str, limited_url: str, world: World
) -> None:
    del limited_url  # the database has the limits
    with pooled(database_url, sessions=3, max_prepared_statements=100) as url:
        settings = Settings.load(database_url=url, prepared_statements=True, **BY_ROLE)
        async with LivingWorld.open(settings) as livingworld:
            there = await opened_world(livingworld, world)

            async def play(number: int) -> int:
                story = await there.stories.create(f"Story {number}")
                for _ in range(10):
                    await there.stories.append_scene(story.id, NewScene("Fog.", cast=["Mara"]))
                    await there.stories.recent(story.id, 5)
                return (await there.stories.get(story.id)).scene_count

            assert await asyncio.gather(*map(play, range(8))) == [10] * 8


@needs_statements
async def test_a_pooler_that_keeps_statements_has_to_reconnect_when_a_column_has_another_type(
    database_url: str, limited_url: str, world: World, observer: Connection
) -> None:
    del limited_url  # the database has the limits
    with pooled(database_url, sessions=1, max_prepared_statements=100) as url:
        settings = Settings.load(database_url=url, prepared_statements=True, conflict_retries=2, **BY_ROLE)
        async with LivingWorld.open(settings) as livingworld:
            await livingworld.worlds.get(world.id)
            await observer.execute("ALTER TABLE livingworld.worlds ALTER COLUMN name TYPE varchar(700)")
            with pytest.raises(SerializationFailure):
                await livingworld.worlds.get(world.id)

            ask_pooler(url, "RECONNECT")
            assert (await livingworld.worlds.get(world.id)).record.name == "Saltmarsh"


@of_locks
async def test_a_pooler_is_found_with_what_it_allows(database_url: str, pooler_url: str) -> None:
    assert await find_pooler(Settings.load(), parse_url(database_url)) is None
    found = await find_pooler(Settings.load(), parse_url(pooler_url))
    assert found is not None
    assert found.missing_limits == {name: value for name, value in LIMITS.items() if "isolation" not in name}


async def test_a_role_with_limits_lacks_none(limited_url: str) -> None:
    found = await find_pooler(Settings.load(), parse_url(limited_url))

    assert found is not None
    assert found.missing_limits == {}
    assert "LIVINGWORLD_LIMITS=role" in found.advice()


@pytest.mark.parametrize("kept", [0, pytest.param(100, marks=needs_statements)])
async def test_it_is_seen_whether_a_pooler_keeps_statements(database_url: str, kept: int) -> None:
    more = {"max_prepared_statements": kept} if keeps_statements() else {}
    with pooled(database_url, sessions=2, **more) as url:
        found = await find_pooler(Settings.load(), parse_url(url))

    assert found is not None
    assert found.keeps_statements is (kept > 0)
    assert ("LIVINGWORLD_PREPARED_STATEMENTS=true" in found.advice()) is (kept > 0)


@pytest.mark.parametrize("limit", ["statement_timeout", pytest.param("lock_timeout", marks=of_locks)])
def test_the_command_says_what_the_pooler_allows(pooler_url: str, limit: str) -> None:
    result = run_command("db", "check", database_url=pooler_url)

    assert (result.returncode, result.stderr) == (0, "")
    assert "LIVINGWORLD_BEHIND_POOLER=true\n" in result.stdout
    assert f"ALTER ROLE app SET {limit} = '{LIMITS[limit]}';\n" in result.stdout
