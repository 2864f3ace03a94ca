"""An append writes to the tables of its shard by their names, where the shard is and as long as it stays there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID

import psycopg
import pytest

from livingworld import LivingWorld, NewScene
from livingworld.errors import LockTimeout
from livingworld.settings.database_url import parse_url
from tests.integration.test_on_citus import URL
from tests.support.citus_cluster import maker_on_the_cluster

pytestmark = pytest.mark.skipif(not URL, reason="LIVINGWORLD_CITUS_URL names no distributed database")

APPEND = f"SELECT * FROM livingworld.append_plain_scene_v1(%s, true, %s, %s, NULL, NULL, %s{', NULL' * 8})"  # noqa: S608
SHARD = "SELECT get_shard_id_for_distribution_column('livingworld.request_keys', CAST(%s AS uuid))"
CALLED = "SELECT funcname FROM pg_stat_xact_user_functions WHERE funcname LIKE 'append_plain_scene_v1_%'"


@pytest.fixture
def sessions() -> Iterator[list[psycopg.Connection]]:
    """Return a session of each node."""
    database = parse_url(URL).database or ""
    with maker_on_the_cluster() as maker, ExitStack() as opened:
        yield [opened.enter_context(psycopg.connect(**node.target(database))) for node in maker.nodes]


def called(session: psycopg.Connection, world: UUID, story: UUID, *, publish: bool) -> list[str]:
    """Append in a transaction of a session, and return the functions that it was carried out by."""
    session.execute("SET track_functions = 'pl'")
    assert session.execute(APPEND, (world, publish, story, "The water rose.")).fetchall() != []
    return [str(name) for (name,) in session.execute(CALLED)]


async def test_the_shard_is_written_where_it_is_and_through_citus_elsewhere(sessions: list[psycopg.Connection]) -> None:
    async with LivingWorld.open(database_url=URL) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
    (shard,) = sessions[0].execute(SHARD, (world.id,)).fetchone() or (0,)
    ways = []
    for session in sessions:
        ways += called(session, world.id, story.id, publish=True)
        session.rollback()

    through_citus = ["append_plain_scene_v1_through_citus"] * (len(sessions) - 1)
    assert sorted(ways) == [f"append_plain_scene_v1_{shard}", *through_citus]


async def test_what_is_part_of_a_longer_transaction_goes_through_citus(sessions: list[psycopg.Connection]) -> None:
    async with LivingWorld.open(database_url=URL) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")

    for session in sessions:
        assert called(session, world.id, story.id, publish=False) == ["append_plain_scene_v1_through_citus"]
        session.rollback()


async def test_an_append_waits_for_who_moves_its_shard(sessions: list[psycopg.Connection]) -> None:
    async with LivingWorld.open(database_url=URL) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        (shard,) = sessions[0].execute(SHARD, (world.id,)).fetchone() or (0,)
        for session in sessions:
            session.execute("SELECT lock_shard_metadata(7, ARRAY[CAST(%s AS bigint)])", (shard,))

        with pytest.raises(LockTimeout):
            await world.stories.append_scene(story.id, NewScene("The water rose."))

        for session in sessions:
            session.rollback()
        assert (await world.stories.append_scene(story.id, NewScene("The water rose."))).number == 1


async def test_what_a_function_of_a_shard_calls_is_planned_for_each_call(sessions: list[psycopg.Connection]) -> None:
    """Its caller's plans are made once, and Citus refuses to make such a plan."""
    async with LivingWorld.open(database_url=URL) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        async with world.live.subscribe(story=story.id):
            for session in sessions:
                (row,) = session.execute(APPEND, (world.id, True, story.id, "The water rose.")).fetchall()
                assert (row[0], row[6]) == ("appended", True)
                session.rollback()
