"""Each event that an operator relies on is logged when it happens, at its level, with its fields."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from livingworld import LivingWorld, NewScene, Story, TransactionScope, World
from livingworld.errors import Archived, DatabaseFailure, SceneNumberConflict, StaleHead, Unavailable, VersionConflict
from livingworld.observability import events
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.settings.settings import Settings
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.recorded_events import RecordedEvents, recorded_events
from livingworld.testing.staged_races import connected, holding

_CONFLICT = "DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '40001'; END $$"
INSERT_SCENE = """
    INSERT INTO livingworld.scenes (world_id, story_id, scene_number, timeline_number, position, content)
    VALUES ($1, $2, 1, 1, 1, 'From elsewhere.')
"""
INSERT_CHARACTER = "INSERT INTO livingworld.characters (world_id, character_id, name) VALUES ($1, $2, 'Mara')"
INSERT_NAME = """
    INSERT INTO livingworld.character_names (world_id, character_id, name_key, name) VALUES ($1, $2, 'mara', 'Mara')
"""


@pytest.fixture
def recorded() -> Iterator[RecordedEvents]:
    with recorded_events() as recorded:
        yield recorded


async def test_an_engine_tells_its_isolation_level(recorded: RecordedEvents, livingworld: LivingWorld) -> None:
    fields, of_background = recorded.of(events.ENGINE_CREATED)

    assert events.ENGINE_CREATED.level == logging.INFO
    assert fields["isolation_level"] == of_background["isolation_level"] == "READ COMMITTED"


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
async def test_a_commit_is_logged_at_info(recorded: RecordedEvents, world: World) -> None:
    await world.stories.create("The Causeway")

    assert events.COMMITTED.level == logging.INFO
    assert recorded.of(events.COMMITTED)[-1] == {"statements": 4, "attempt": 1}


async def test_a_new_scene_is_logged_at_debug(recorded: RecordedEvents, world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("The lantern."))

    assert events.SCENE_CREATED.level == logging.DEBUG
    (fields,) = recorded.of(events.SCENE_CREATED)
    assert fields == {"world_id": str(world.id), "story_id": str(story.id), "scene_number": 1, "branch_number": 1}


async def test_a_repeated_request_and_a_stale_head_are_logged(
    recorded: RecordedEvents, world: World, story: Story
) -> None:
    for _ in range(2):
        await world.stories.append_scene(story.id, NewScene("The lantern."), request_key="once")
    with pytest.raises(StaleHead):
        await world.stories.append_scene(story.id, NewScene("Late."), expected_head=0)

    assert [fields["scene_number"] for fields in recorded.of(events.SCENE_REPLAYED)] == [1]
    assert [(fields["expected"], fields["actual"]) for fields in recorded.of(events.HEAD_STALE)] == [(0, 1)]


@pytest.mark.parametrize("cast", [[], ["Mara"]])
async def test_a_scene_past_the_counter_is_a_warning(
    cast: list[str], recorded: RecordedEvents, world: World, story: Story, database_url: str
) -> None:
    async with connected(database_url) as intruder:
        await intruder.execute(INSERT_SCENE, world.id, story.id)

    with pytest.raises(SceneNumberConflict):
        await world.stories.append_scene(story.id, NewScene("The lantern.", cast=cast))

    assert events.SCENE_NUMBER_CONFLICT.level == logging.WARNING
    assert recorded.of(events.SCENE_NUMBER_CONFLICT) == [{"world_id": str(world.id), "story_id": str(story.id)}]
    assert await world.characters.find("Mara") is None


async def test_a_failure_is_an_error_with_its_places(recorded: RecordedEvents, livingworld: LivingWorld) -> None:
    async def divide(tx: Transaction) -> None:
        await tx.execute(text("SELECT 1 / 0"))

    with pytest.raises(DatabaseFailure):
        await livingworld.worlds._database.run(divide)

    assert events.FAILED.level == logging.ERROR
    (fields,) = recorded.of(events.FAILED)
    assert (fields["error"], fields["sqlstate"]) == ("DatabaseFailure", "22012")
    assert "postgres/transactions/transaction.py:" in fields["frames"]
    assert "in divide" not in fields["frames"]


async def test_a_server_that_is_away_is_an_error_with_its_places_too(recorded: RecordedEvents) -> None:
    settings = Settings.load(database_url="postgresql://nobody@127.0.0.1:1/nowhere", outage_retries=0)
    async with LivingWorld.open(settings) as livingworld:
        with pytest.raises(Unavailable):
            await livingworld.worlds.create("Saltmarsh")

    (fields,) = recorded.of(events.FAILED)
    assert fields["error"] == "ServerNotRunning"
    assert "in _unit" in fields["frames"]


async def test_a_group_that_finds_the_server_away_is_such_an_error(
    recorded: RecordedEvents, database_url: str, world: World, story: Story
) -> None:
    async with (
        protocol_proxy(database_url) as proxy,
        LivingWorld.open(Settings.load(database_url=proxy.url, outage_retries=0)) as livingworld,
    ):
        cut_off = await livingworld.worlds.get(world.id)
        await proxy.close()
        with pytest.raises(Unavailable):
            await cut_off.stories.append_scene(story.id, NewScene("x"), request_key="k")

    assert len(recorded.of(events.FAILED)) == 1


async def test_a_failure_of_the_callers_own_work_is_told_by_its_class(recorded: RecordedEvents, world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.transaction():
            raise ZeroDivisionError

    assert recorded.of(events.ROLLED_BACK) == [{"error": "ZeroDivisionError"}]
    assert not recorded.of(events.FAILED)


async def test_an_answer_that_the_caller_must_expect_is_no_failure(
    recorded: RecordedEvents, world: World, story: Story
) -> None:
    with pytest.raises(VersionConflict):
        await world.stories.update(story.id, expected_version=2, title="Renamed")

    await world.stories.archive(story.id)
    with pytest.raises(Archived):
        await world.stories.update(story.id, expected_version=2, title="Renamed")

    assert not recorded.of(events.FAILED)


async def test_a_unit_that_runs_again_is_a_warning(recorded: RecordedEvents, database_url: str) -> None:
    runs: list[int] = []

    async def work(tx: TransactionScope) -> None:
        runs.append(1)
        if len(runs) < 3:
            await tx._transaction.execute(text(_CONFLICT))

    async with LivingWorld.open(database_url=database_url) as livingworld:
        await (await livingworld.worlds.create("Saltmarsh")).run(work)

    assert events.RETRIED.level == logging.WARNING
    assert recorded.of(events.RETRIED) == [
        {"error": "SerializationFailure", "attempt": attempt, "kind": "conflict"} for attempt in (1, 2)
    ]


async def test_a_character_is_created_and_then_found(recorded: RecordedEvents, world: World) -> None:
    character, _ = await world.characters.get_or_create("Mara")
    await world.characters.get_or_create("MARA")

    expected = [{"world_id": str(world.id), "character_id": str(character.id)}]
    assert (events.CHARACTER_CREATED.level, events.CHARACTER_FOUND.level) == (logging.INFO, logging.DEBUG)
    assert recorded.of(events.CHARACTER_CREATED) == recorded.of(events.CHARACTER_FOUND) == expected


async def test_a_character_created_by_another_transaction_has_its_own_event(
    recorded: RecordedEvents, world: World, database_url: str
) -> None:
    other = world.id  # any id will do
    lock = [lock_key(LockKind.CHARACTER, world.id, "mara")]
    async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", lock, commit=True) as holder:
        asking = asyncio.create_task(world.characters.get_or_create("Mara"))
        await holder.until_blocked()
        for statement in (INSERT_CHARACTER, INSERT_NAME):
            await holder.connection.execute(statement, world.id, other)

    character, created = await asking
    assert (character.id, created) == (other, False)
    assert events.CHARACTER_CREATED_ELSEWHERE.level == logging.INFO
    assert [fields["character_id"] for fields in recorded.of(events.CHARACTER_CREATED_ELSEWHERE)] == [str(other)]
    assert not recorded.of(events.CHARACTER_CREATED)


async def test_without_structlog_the_standard_librarys_logging_gets_them(
    world: World, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="livingworld")

    await world.stories.append_scene(story.id, NewScene("The lantern."))

    (record,) = [record for record in caplog.records if record.getMessage().startswith(events.SCENE_CREATED.name)]
    assert (record.name, record.levelno) == ("livingworld", logging.DEBUG)
    assert f"story_id={story.id}" in record.getMessage()


def test_an_event_takes_no_field_that_it_does_not_declare() -> None:
    with pytest.raises(KeyError):
        events.emit(events.SCENE_CREATED, content="The lantern.")


async def create_and_fail(tx: TransactionScope) -> float:
    await tx.characters.get_or_create("Mara")
    return 1 / 0


async def test_a_character_that_was_rolled_back_is_not_told_of(recorded: RecordedEvents, world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        await world.run(create_and_fail)
    async with world.transaction() as tx:
        await tx.characters.get_or_create("Tom")

    assert len(recorded.of(events.CHARACTER_CREATED)) == 1


async def test_a_block_that_is_left_without_a_commit_is_warned_of(
    world: World, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.turns.take(story.id, request_key="forgotten"):
        pass
    with contextlib.suppress(ZeroDivisionError):
        async with world.turns.take(story.id, request_key="failed"):
            raise ZeroDivisionError

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    (warning,) = [line for line in warnings if line.startswith(events.TURN_NOT_COMMITTED.name)]
    (generation,) = (await world.generations.of(story.id)).items[1:]
    assert f"generation_id={generation.id}" in warning
