"""Every check finds its damage, and a repair removes it or is refused; a sound world has no finding."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
import pytest_asyncio
from pytest_postgresql.executors import NoopExecutor
from sqlalchemy import make_url

from livingworld import InvalidInput, LivingWorld, LivingWorldError, NewScene, World
from livingworld.demo.branching_story import demo_story
from livingworld.demo.plan import plan_from_story
from livingworld.demo.players import Ledger, perform
from livingworld.doctor import Doctor, Finding, server_checks
from livingworld.doctor.doctor import CHECKS
from livingworld.doctor.world_check import WorldCheck
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.staged_races import connected, holding
from tests.integration.doctor.damages import REFUSED, REFUSED_TOO, REPAIRED, REPAIRED_TOO
from tests.integration.doctor.lived_world import live
from tests.support.every_write import WRITES, furnish
from tests.support.rotation import rotated
from tests.support.staging import THE_STORY

pytestmark = pytest.mark.xdist_group("the doctor")  # what they share is made once

#: The server of the tests promises nothing, and never vacuums by itself.
OF_THE_SERVER = {"weak_settings"}
#: These need no damage to the tables of a world; their tests stand below.
WITHOUT_DAMAGE = {
    *("weak_settings", "statistics_missing", "bloat", "clock_skew", "distribution_incomplete"),
    "partitions_incomplete",  # tests/integration/test_partitions.py
    "isolation_incomplete",  # tests/integration/row_security/test_switching.py
    "replica_unused",  # tests/faults/test_standing_of_a_standby.py
}


@dataclass(frozen=True)
class Lived:
    url: str
    world_id: UUID

    async def damage(self, statements: str) -> None:
        async with connected(self.url) as connection:
            # As a restore does it: no foreign key looks.
            await connection.execute(f"SET session_replication_role = replica; {statements}")

    async def found(self) -> dict[str, Finding]:
        async with Doctor.open(database_url=self.url) as doctor:
            return {finding.check: finding for finding in await doctor.examine()}

    async def rows(self) -> list[object]:
        """Return what every table of a world has, but for times that a repair may set."""
        async with connected(self.url) as connection:
            tables = await connection.fetch("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'livingworld'")
            return [
                await connection.fetchval(f"SELECT array_agg(t::text ORDER BY t::text) FROM livingworld.{row[0]} t")  # noqa: S608
                for row in sorted(tables, key=str)
            ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def original(database_maker: DatabaseMaker, migrated_template: NoopExecutor) -> AsyncIterator[Lived]:
    """Live once, for the tests that damage a copy."""
    with database_maker.database(template=migrated_template.template_dbname) as url:
        async with LivingWorld.open(database_url=url) as livingworld:
            world_id = await live(livingworld)
        yield Lived(url, world_id)


@pytest.fixture
def lived(original: Lived, database_maker: DatabaseMaker) -> Iterator[Lived]:
    """Give a copy, to be damaged."""
    with database_maker.database(template=str(make_url(original.url).database)) as url:
        yield replace(original, url=url)


def test_there_is_damage_for_every_check() -> None:
    assert REPAIRED.keys() | REFUSED.keys() | WITHOUT_DAMAGE == CHECKS.keys()


async def test_a_sound_world_has_no_finding(lived: Lived) -> None:
    assert (await lived.found()).keys() <= OF_THE_SERVER


OFF: Final = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'"
#: What a role without DDL cannot repair.
OWNERS: Final = {"indexes_missing": pytest.mark.as_owner("nobody else may make an index")}


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param((name, name, sql), marks=OWNERS.get(name, ())) for name, sql in REPAIRED.items()),
        *((name, *damage) for name, damage in REPAIRED_TOO.items()),
    ],
    ids=lambda case: case[0],
)
async def test_what_is_safe_is_repaired(lived: Lived, case: tuple[str, str, str]) -> None:
    _, check, statements = case
    await lived.damage(statements)
    found = await lived.found()

    async with Doctor.open(database_url=lived.url) as doctor:
        done = await doctor.repair(found[check])

    assert found[check].repairable
    assert (done.left, done.reason) == (0, None)
    assert done.repaired >= 1
    assert check not in await lived.found()


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize(
    "case",
    [*((name, name, sql) for name, sql in REFUSED.items()), *((name, *damage) for name, damage in REFUSED_TOO.items())],
    ids=lambda case: case[0],
)
async def test_what_is_not_safe_is_refused(lived: Lived, case: tuple[str, str, str]) -> None:
    _, check, statements = case
    await lived.damage(statements)
    found, before = await lived.found(), await lived.rows()

    async with Doctor.open(database_url=lived.url) as doctor:
        with pytest.raises(InvalidInput, match="cannot be repaired"):
            await doctor.repair(found[check])

    assert not found[check].repairable
    assert found[check].repair.startswith("Refused: ")
    assert await lived.rows() == before


async def test_a_repaired_world_goes_on(lived: Lived) -> None:
    for damage in ("story_counters", "heads_misplaced", "lineage", "words_missing", "relationship_sums", "lanes"):
        await lived.damage(REPAIRED[damage])
    async with Doctor.open(database_url=lived.url) as doctor:
        for finding in await doctor.examine():
            if finding.repairable:
                await doctor.repair(finding)

    assert (await lived.found()).keys() <= OF_THE_SERVER
    async with LivingWorld.open(database_url=lived.url) as livingworld:
        world = await livingworld.worlds.get(lived.world_id)
        story = (await world.stories.list()).items[0]
        scene = await world.stories.append_scene(story.id, NewScene("It goes on."))
        assert scene.number == story.scene_count + 1
        assert await world.actions.claim()


async def test_a_repair_waits_for_the_writer_of_the_story(lived: Lived) -> None:
    await lived.damage(REPAIRED["lineage"])  # its repair touches no row of the story itself
    found = (await lived.found())["lineage"]
    story_id = found.examples[0]["story_id"]

    async with Doctor.open(database_url=lived.url) as doctor:
        async with holding(lived.url, THE_STORY, [lived.world_id, story_id]) as holder:
            repairing = asyncio.create_task(doctor.repair(found))
            await holder.until_blocked()
        assert (await repairing).repaired == 1


async def test_a_repair_that_does_not_help_is_rolled_back(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    await lived.damage(REPAIRED["lineage"])
    found, before = (await lived.found())["lineage"], await lived.rows()
    check = CHECKS["lineage"]
    assert isinstance(check, WorldCheck)
    monkeypatch.setitem(CHECKS, "lineage", replace(check, statements=check.statements[:1]))  # removes, adds nothing

    async with Doctor.open(database_url=lived.url) as doctor:
        done = await doctor.repair(found)

    assert (done.repaired, done.left) == (0, 1)
    assert done.reason
    assert "still wrong after its repair" in done.reason
    assert await lived.rows() == before


async def test_a_unique_index_that_rows_break_is_not_made(lived: Lived) -> None:
    await lived.damage("DROP INDEX livingworld.uq_branches_name; UPDATE livingworld.branches SET name = 'main'")
    found = (await lived.found())["indexes_missing"]

    async with Doctor.open(database_url=lived.url) as doctor:
        done = await doctor.repair(found)

    assert (done.repaired, done.left) == (0, 1)
    assert done.reason


async def test_a_place_that_somebody_else_has_repaired_is_left_alone(lived: Lived) -> None:
    await lived.damage(REPAIRED["leases_expired"])
    found = (await lived.found())["leases_expired"]
    async with Doctor.open(database_url=lived.url) as doctor:
        assert (await doctor.repair(found)).repaired == found.count
        assert (await doctor.repair(found)).repaired == 0


async def test_one_world_is_examined_without_the_others(lived: Lived) -> None:
    await lived.damage(REPAIRED["story_counters"] + ";" + REFUSED["constraints_missing"])
    async with LivingWorld.open(database_url=lived.url) as livingworld:
        other = await livingworld.worlds.create("Elsewhere")
    async with Doctor.open(database_url=lived.url) as doctor:
        assert await doctor.examine(other.id) == ()
        assert [finding.check for finding in await doctor.examine(lived.world_id)] == ["story_counters"]


async def test_writers_that_go_on_cause_no_finding(livingworld: LivingWorld, database_url: str, world: World) -> None:
    plan = plan_from_story(demo_story(), players=2, writers=3)
    playing = asyncio.create_task(perform([world], plan, Ledger(), lambda: None))
    async with Doctor.open(database_url=database_url) as doctor:
        looks = [await doctor.examine(world.id)]
        while not playing.done():
            looks.append(await doctor.examine(world.id))
        await playing
        looks.append(await doctor.examine(world.id))

    assert [found for found in looks if found] == []
    assert len(looks) > 3


@pytest.mark.plain_server("the looks at a server find the shards of the node that is asked")
@pytest.mark.as_owner("nobody else may ANALYZE and VACUUM a table")
async def test_a_large_table_without_statistics_and_full_of_dead_rows_is_found(lived: Lived) -> None:
    await lived.damage(
        "INSERT INTO livingworld.documents (world_id, key, value) SELECT world_id, n, to_jsonb(repeat('x', 400))"
        " FROM livingworld.worlds, generate_series(1, 15000) n;"
        "INSERT INTO livingworld.document_versions (world_id, key, version, value)"
        " SELECT world_id, key, 1, value FROM livingworld.documents WHERE key ~ '^\\d';"
    )
    await lived.damage("UPDATE livingworld.documents SET updated_at = now()")
    await lived.damage("UPDATE livingworld.documents SET updated_at = now(); SELECT pg_stat_force_next_flush()")

    found = await lived.found()
    assert {"statistics_missing", "bloat"} <= found.keys()
    async with Doctor.open(database_url=lived.url) as doctor:
        for check in ("statistics_missing", "bloat"):
            assert (await doctor.repair(found[check])).left == 0
    assert not {"statistics_missing", "bloat"} & (await lived.found()).keys()


async def test_a_clock_that_is_wrong_is_found(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "clock_skew" not in await lived.found()

    monkeypatch.setattr(server_checks, "local_time", lambda: datetime.now(UTC) - timedelta(minutes=1))
    found = (await lived.found())["clock_skew"]
    assert found.examples[0]["seconds"] >= 55


async def test_a_setting_that_gives_a_promise_up_is_found(lived: Lived) -> None:
    async with connected(lived.url) as connection:
        await connection.execute(f'ALTER DATABASE "{make_url(lived.url).database}" SET synchronous_commit = off')
        off = await connection.fetch(OFF)  # the server of a test run keeps nothing
    found = (await lived.found())["weak_settings"]
    assert {row["name"] for row in off} <= {each["name"] for each in found.examples}
    assert {"name": "synchronous_commit", "setting": "off"} in found.examples


@pytest.mark.rotates
async def test_what_every_write_leaves_is_sound(livingworld: LivingWorld, database_url: str) -> None:
    for write in rotated(sorted(WRITES), parts=3):
        there = await furnish(livingworld)
        with contextlib.suppress(LivingWorldError):  # some are refused in this world
            await WRITES[write](there)
    async with Doctor.open(database_url=database_url) as doctor:
        assert {finding.check for finding in await doctor.examine()} <= OF_THE_SERVER
