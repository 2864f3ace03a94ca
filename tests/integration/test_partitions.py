"""The largest tables are cut by world: nothing is lost, what was killed goes on, and what is missing is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Connection, text

from livingworld import LivingWorld, NewScene, Settings
from livingworld.doctor import Doctor
from livingworld.errors import LivingWorldError
from livingworld.postgres import migrations
from livingworld.postgres.connections.one_connection import connected as database_connection
from livingworld.postgres.distribution.partitioning import Partitioned, partition, partitions_of
from livingworld.postgres.distribution.partitions import PARTS
from livingworld.postgres.roles import APPLICATION, READER, make_roles
from livingworld.postgres.upgrades.changes import create_index, drop_index
from livingworld.postgres.upgrades.turn import LOCK_KEY
from livingworld.schema import metadata
from livingworld.story.worlds.isolation import NOT_ISOLATED, isolate, keep_isolated
from livingworld.testing.partitions import VARIABLE
from livingworld.testing.staged_races import connected, holding
from tests.support.every_write import furnish
from tests.support.patience import PATIENCE
from tests.support.stored_rows import rows_of

pytestmark = [
    pytest.mark.as_owner("nobody else may cut a table"),
    pytest.mark.direct_connection("tables are not cut while programs are connected, and a pooler keeps their sessions"),
]

COUNT = 2
LARGEST = metadata.info["largest"]
#: Partitions that a role may read by themselves, where no policy shows them to it.
_PARTS_OF = """
    SELECT count(*) FROM pg_class
    WHERE relnamespace = $2::text::regnamespace AND relkind = 'r' AND has_table_privilege($1, oid, 'SELECT')
"""
_MAY_CALL = """
    SELECT has_function_privilege('public', oid, 'EXECUTE'), has_function_privilege($1, oid, 'EXECUTE')
    FROM pg_proc WHERE oid::regproc::text = $2
"""


@pytest.fixture(autouse=True)
def _whole_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
async def filled(empty_database_url: str) -> tuple[str, UUID]:
    """Return a database with something in every table, and its world."""
    await migrations.upgrade(empty_database_url)
    async with LivingWorld.open(database_url=empty_database_url) as livingworld:
        there = await furnish(livingworld)
        await there.world.stories.append_scene(there.story.id, NewScene("Three."), request_key="kept")
        return empty_database_url, there.world.id


async def cut(url: str, report: Callable[[str], None] = lambda _: None) -> Partitioned:
    return await partition(url, metadata, COUNT, complete=keep_isolated, report=report)


async def test_every_row_stays_and_the_database_is_that_of_this_release(filled: tuple[str, UUID]) -> None:
    url, world_id = filled
    before = await rows_of(url, world_id)

    found = await cut(url)

    assert found.refused == ()
    assert found.partitions.parts == dict.fromkeys(LARGEST, COUNT)
    assert found.partitions.missing == ()
    assert await rows_of(url, world_id) == before
    assert sum(map(len, before.values())) > 40
    assert await migrations.check(url, metadata) == []
    async with Doctor.open(Settings.load(database_url=url)) as doctor:
        assert [each.check for each in await doctor.examine() if each.check != "weak_settings"] == []
    assert (await cut(url)).refused == ()


async def test_a_scene_follows_where_its_world_was_cut(filled: tuple[str, UUID]) -> None:
    url, world_id = filled
    await cut(url)

    async with LivingWorld.open(database_url=url) as livingworld:
        world = await livingworld.worlds.get(world_id)
        (story,) = (await world.stories.list()).items
        again = await world.stories.append_scene(story.id, NewScene("Three."), request_key="kept")
        new = await world.stories.append_scene(story.id, NewScene("Four."))
        await livingworld.worlds.purge(world_id)

    assert (again.number, new.number) == (3, 4)
    async with connected(url) as connection:
        for name in LARGEST:
            assert await connection.fetchval(f"SELECT count(*) FROM livingworld.{name}") == 0, name  # noqa: S608


async def test_what_was_killed_in_each_table_goes_on_there(filled: tuple[str, UUID]) -> None:
    url, world_id = filled
    before = await rows_of(url, world_id)

    def killed(connection: Connection) -> None:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    def only_one(name: str) -> None:
        begun.append(name)
        if len(begun) > 1:
            raise ZeroDivisionError

    for number, name in enumerate(LARGEST):
        with pytest.raises((LivingWorldError, asyncpg.PostgresError, OSError)):
            await partition(url, metadata, COUNT, complete=killed, report=lambda _: None)
        assert (await partitions_of(url, metadata)).whole == LARGEST[number:]
        assert await rows_of(url, world_id) == before
        begun: list[str] = []
        if number < len(LARGEST) - 1:
            with pytest.raises(ZeroDivisionError):
                await cut(url, only_one)
            assert begun[0] == name
            missing = (await partitions_of(url, metadata)).missing
            assert missing == tuple(f"partitions of the table {each}" for each in LARGEST[number + 1 :])

    assert (await cut(url)).partitions.missing == ()
    assert await rows_of(url, world_id) == before
    async with connected(url) as connection:
        assert await connection.fetchval(f"SELECT to_regclass('{PARTS}.{LARGEST[-1]}')") is None


@pytest.mark.plain_server("tables are cut on one server, and the waits of a cluster are read from Citus's views")
async def test_of_two_who_cut_at_once_the_second_finds_it_done(filled: tuple[str, UUID]) -> None:
    url, world_id = filled
    before = await rows_of(url, world_id)
    begun: list[str] = []

    async with holding(url, "SELECT pg_advisory_xact_lock($1)", [LOCK_KEY]) as migration:
        cutting = [asyncio.create_task(cut(url, begun.append)) for _ in range(2)]
        await migration.until_blocked(count=2)
    found = await asyncio.gather(*cutting)

    assert begun == list(LARGEST)
    assert [each.refused for each in found] == [(), ()]
    assert [each.partitions.parts for each in found] == [dict.fromkeys(LARGEST, COUNT)] * 2
    assert await rows_of(url, world_id) == before


async def test_what_is_missing_is_said_and_nothing_is_done(filled: tuple[str, UUID]) -> None:
    url, _ = filled
    async with LivingWorld.open(database_url=url) as livingworld, connected(url) as connection:
        await livingworld.worlds.list()
        await connection.execute("CREATE PUBLICATION told FOR TABLE livingworld.scenes")
        await connection.execute("CREATE VIEW mine AS SELECT * FROM livingworld.turns")
        found = await cut(url)

    assert [line.partition(":")[0] for line in found.refused] == [
        "no program at work",
        "tables without a publication of single tables",
        "tables without a view of somebody else",
    ]
    assert found.partitions.count == 0


async def test_another_number_is_refused_where_some_tables_are_cut(filled: tuple[str, UUID]) -> None:
    url, _ = filled

    def stop(name: str) -> None:
        if name == LARGEST[2]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cut(url, stop)

    found = await partition(url, metadata, COUNT + 1, complete=keep_isolated, report=stop)

    assert found.refused == (f"the number of partitions that is there already: {COUNT}",)
    async with Doctor.open(Settings.load(database_url=url)) as doctor:
        (finding,) = [each for each in await doctor.examine() if each.check == "partitions_incomplete"]
    assert finding.count == len(LARGEST) - 2


async def test_an_isolated_database_stays_so_and_privileges_stay(filled: tuple[str, UUID]) -> None:
    url, world_id = filled
    before = await rows_of(url, world_id)
    await make_roles(url)
    await isolate(url, on=True, lock_timeout=PATIENCE)

    await cut(url)

    assert await rows_of(url, world_id) == before
    async with connected(url) as connection:
        assert await connection.fetch(NOT_ISOLATED.text) == []
        for role, may, right in ((APPLICATION, True, "INSERT"), (READER, True, "SELECT"), (READER, False, "INSERT")):
            asked = "SELECT has_table_privilege($1, 'livingworld.scenes'::regclass, $2)"
            assert await connection.fetchval(asked, role, right) is may
        assert await connection.fetchval(_PARTS_OF, APPLICATION, PARTS) == 0
        (found,) = await connection.fetch(_MAY_CALL, APPLICATION, "livingworld.visible_relationships_v1")
        assert tuple(found) == (False, True)


async def test_a_later_release_builds_and_drops_an_index_of_a_table_that_is_cut(filled: tuple[str, UUID]) -> None:
    url, _ = filled
    await cut(url)
    build = create_index("ix_scenes_later", "scenes", "(world_id, content)")

    async with database_connection(url) as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        # As a build that was killed after the first of two partitions left it.
        await alone.execute(text("CREATE INDEX ix_scenes_later ON ONLY livingworld.scenes (world_id, content)"))
        await alone.execute(text(f"CREATE INDEX ix_scenes_later_0 ON {PARTS}.scenes_0 (world_id, content)"))
        assert not await alone.run_sync(build.is_done)
        await alone.run_sync(build._execute)
        assert await alone.run_sync(build.is_done)
        drop = drop_index("ix_scenes_later", "scenes")
        await alone.run_sync(drop._execute)
        assert await alone.run_sync(drop.is_done)

    assert await migrations.check(url, metadata) == []


async def test_the_doctor_builds_an_index_that_is_missing_of_a_table_that_is_cut(filled: tuple[str, UUID]) -> None:
    url, _ = filled
    await cut(url)
    async with connected(url) as connection:
        await connection.execute("DROP INDEX livingworld.ix_turns_player")
    async with Doctor.open(Settings.load(database_url=url)) as doctor:
        (finding,) = [each for each in await doctor.examine() if each.check == "indexes_missing"]

        assert (await doctor.repair(finding)).repaired == 1

    assert await migrations.check(url, metadata) == []
