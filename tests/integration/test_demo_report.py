"""The demo's verdict can fail: each promise is broken once, by hand, in tables without their constraints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from pytest_postgresql.executors import NoopExecutor
from sqlalchemy import NullPool, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld import LivingWorld
from livingworld.demo.branching_story import demo_story
from livingworld.demo.plan import Plan, plan_from_story
from livingworld.demo.players import Ledger, perform
from livingworld.demo.report import PROMISES, Report, read_report
from livingworld.testing.databases import DatabaseMaker

pytestmark = [pytest.mark.any_server, pytest.mark.xdist_group("a demonstration")]

DROP_CONSTRAINTS = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT conrelid::regclass AS owner, conname FROM pg_constraint
        WHERE connamespace = 'livingworld'::regnamespace AND contype IN ('p', 'u', 'f')
            AND conrelid <> 'livingworld.alembic_version'::regclass
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', found.owner, found.conname);
    END LOOP;
    FOR found IN
        SELECT indexrelid::regclass AS name FROM pg_index
        WHERE indisunique AND indrelid::regclass::text LIKE 'livingworld.%'
            AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)
    LOOP
        EXECUTE format('DROP INDEX %s', found.name);
    END LOOP;
END $$
"""

#: A copy of scene 3 of the shared story.
COPY = """
INSERT INTO livingworld.scenes
    (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content, metadata)
SELECT world_id, story_id, {number}, {parent}, timeline_number, position, content, metadata
FROM livingworld.scenes WHERE story_id = :story_id AND scene_number = 3
"""
CHANGE = "UPDATE livingworld.scenes SET {change} WHERE story_id = :story_id AND scene_number = {number}"
DELETE = "DELETE FROM livingworld.scenes WHERE story_id = :story_id AND scene_number = {number}"
UNFINISH = """
UPDATE livingworld.turns SET state = 'running', scene_number = NULL
WHERE request_key = (SELECT min(request_key) FROM livingworld.turns WHERE state = 'committed')
"""
FORGET = "DELETE FROM livingworld.{table} WHERE story_id = :story_id AND scene_number = 5"
HIDE = """
DELETE FROM livingworld.generations
WHERE generation_id = (SELECT generation_id FROM livingworld.generations WHERE scene_number = 3 LIMIT 1)
"""
NOBODY = """
INSERT INTO livingworld.characters (world_id, character_id, name)
SELECT world_id, gen_random_uuid(), '{name}' FROM livingworld.stories WHERE story_id = :story_id
"""


@dataclass
class Played:
    url: str
    world_id: UUID
    shared: UUID
    plan: Plan
    ledger: Ledger

    async def report(self) -> Report:
        return await read_report(self.url, self.world_id, self.plan, self.ledger, timedelta(seconds=2))

    async def damage(self, statement: str) -> None:
        engine = create_async_engine(self.url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(text(DROP_CONSTRAINTS))
            await connection.execute(text(statement.replace(":story_id", f"'{self.shared}'")))
        await engine.dispose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def original(database_maker: DatabaseMaker, migrated_template: NoopExecutor) -> AsyncIterator[Played]:
    """Play once, for the tests that look at a copy."""
    plan = plan_from_story(demo_story(), players=2, writers=3)
    ledger = Ledger()
    with database_maker.database(template=migrated_template.template_dbname) as url:
        async with LivingWorld.open(database_url=url) as one, LivingWorld.open(database_url=url) as other:
            world = await one.worlds.create("Skerrow")
            shared = await perform([world, await other.worlds.get(world.id)], plan, ledger, lambda: None)
        yield Played(url, world.id, shared, plan, ledger)


@pytest.fixture
def played(original: Played, database_maker: DatabaseMaker) -> Iterator[Played]:
    """Give a copy, to be damaged."""
    with database_maker.database(template=str(make_url(original.url).database)) as url:
        yield replace(original, url=url, ledger=deepcopy(original.ledger))


async def test_an_undamaged_world_keeps_every_promise(played: Played) -> None:
    report = await played.report()

    assert report.broken == ()
    assert report.scenes_written == played.plan.scenes + played.ledger.detours
    assert report.scenes_per_second == round(report.scenes_written / 2, 1)
    assert min(report.undos, report.forks, report.double_clicks) > 0


async def test_requests_were_really_sent_twice_and_refused(played: Played) -> None:
    tokens = [answer.token for answer in played.ledger.acknowledgements]

    assert len(set(tokens)) == played.plan.scenes + played.ledger.detours
    assert len(tokens) > 1.1 * played.plan.scenes
    assert played.ledger.conflicts_refused > 0


async def test_the_counts_are_of_one_world_only(played: Played) -> None:
    async with LivingWorld.open(database_url=played.url) as livingworld:
        other = await livingworld.worlds.create("Elsewhere")
        await perform([other], plan_from_story(demo_story(), players=1, writers=1), Ledger(), lambda: None)

    assert (await played.report()).scenes_written == played.plan.scenes + played.ledger.detours


@pytest.mark.plain_server("it drops every constraint, one after the other, and finds those of shards")
@pytest.mark.parametrize(
    ("damage", "broken"),
    [
        (DELETE.format(number=3), {"unwritten": 1, "gaps": 1, "lost": 1}),
        (DELETE.format(number="(SELECT max(scene_number) FROM livingworld.scenes s WHERE s.story_id = :story_id)"),
         {"unwritten": 1, "gaps": 1, "lost": 1}),
        (COPY.format(number="3", parent="2"), {"duplicate_numbers": 1, "doubled": 1}),
        (COPY.format(number="10000", parent="9999"), {"doubled": 1, "gaps": ..., "unremembered": 1}),
        (CHANGE.format(change="content = content || '.'", number=5), {"lost": 1}),
        (CHANGE.format(change="metadata = '{}'", number=5), {"lost": 1, "unacknowledged": 1, "unremembered": 1}),
        (CHANGE.format(change="scene_number = 6, parent_scene_number = 5", number=5),
         {"duplicate_numbers": 1, "gaps": 1, "lost": 1, "unremembered": 1}),
        (CHANGE.format(change="parent_scene_number = 3", number=5), {"stale_parents": 1}),
        (NOBODY.format(name="TOBIAS KERR"), {"duplicate_characters": 1}),
        (NOBODY.format(name="A Stranger"), {"duplicate_characters": 1}),
        (UNFINISH, {"unfinished": 1}),
        (HIDE, {"unshown": 1}),
        (FORGET.format(table="facts"), {"unremembered": 1}),
        (FORGET.format(table="memories"), {"unremembered": 1}),
        ("DELETE FROM livingworld.characters WHERE world_id IS NOT NULL", {"misnamed": 5}),
    ],
)  # fmt: skip
async def test_each_broken_promise_is_found(played: Played, damage: str, broken: dict[str, object]) -> None:
    await played.damage(damage)

    report = await played.report()

    assert set(report.broken) == broken.keys()
    for name, count in broken.items():
        assert count in (..., getattr(report, name))


async def test_answers_that_the_tables_do_not_know_or_that_never_came_are_found(played: Played) -> None:
    first = played.ledger.acknowledgements[0]
    played.ledger.acknowledgements.append(replace(first, token="never stored"))
    played.ledger.contradictions = 1
    played.ledger.wrong_states = 3
    played.ledger.unanswered = 2

    report = await played.report()

    assert (report.lost, report.contradictions, report.unanswered) == (1, 1, 2)
    assert report.wrong_states == 3
    assert set(report.broken) == {"lost", "contradictions", "wrong_states", "unanswered"}


async def test_every_promise_is_a_count_of_the_report(played: Played) -> None:
    assert PROMISES.keys() <= (await played.report()).as_json().keys()
