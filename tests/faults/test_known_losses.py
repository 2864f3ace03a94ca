"""A session that ended before COMMIT was sent is a known loss: the caller is not told that nobody can tell."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.app.transaction_scope import TransactionScope
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, engine_of, eventually, scene_contents

KILL_ALL = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'livingworld'
"""


def is_closed(tx: TransactionScope) -> bool:
    transaction = tx.stories._unit
    assert isinstance(transaction, Transaction)
    assert isinstance(transaction._connection, AsyncConnection)
    connection = transaction._connection.sync_connection
    assert connection is not None
    return bool(connection.connection.driver_connection.is_closed())  # type: ignore[union-attr]


async def test_a_session_that_ends_while_the_work_thinks_is_begun_again(
    livingworld: LivingWorld, world: World, story: Story, observer: Connection
) -> None:
    runs = 0

    async def work(tx: TransactionScope) -> int:
        nonlocal runs
        runs += 1
        scene = await tx.stories.append_scene(story.id, NewScene("Once."))
        if runs == 1:
            await observer.fetch(KILL_ALL)

            async def noticed() -> bool:
                return is_closed(tx)

            assert await eventually(noticed)
        return scene.number

    assert await world.run(work) == 1
    assert runs == 2
    assert await scene_contents(observer, story.id) == ["Once."]
    await assert_nothing_left(livingworld, observer)


@pytest.mark.direct_connection("a pooler keeps the connection of a session that has ended")
async def test_sessions_that_ended_in_the_pool_are_replaced_unseen(
    livingworld: LivingWorld, world: World, story: Story, observer: Connection, proxy: ProtocolProxy
) -> None:
    async with engine_of(livingworld).connect() as pooled:
        driver_connection = (await pooled.get_raw_connection()).driver_connection
        assert driver_connection is not None
    await observer.fetch(KILL_ALL)

    async def noticed() -> bool:
        return bool(driver_connection.is_closed())

    assert await eventually(noticed)
    assert (await world.stories.append_scene(story.id, NewScene("Once."))).number == 1
    assert await scene_contents(observer, story.id) == ["Once."]


@pytest.mark.parametrize("statement", ["SAVEPOINT", "append_scenes_v1", "RELEASE"])
async def test_a_connection_lost_before_commit_is_no_question(
    statement: str, proxy: ProtocolProxy, world: World, story: Story, livingworld: LivingWorld, observer: Connection
) -> None:
    # The first append_scenes_v1 is a transaction of its own, and finds that the character has to be made first.
    fault = proxy.at(Moment.BEFORE, statement, nth=2 if statement == "append_scenes_v1" else 1)

    scene = await world.stories.append_scene(story.id, NewScene("Once.", cast=["Mara"]))

    assert fault.happened.is_set()
    assert scene.number == 1
    assert await scene_contents(observer, story.id) == ["Once."]
    await assert_nothing_left(livingworld, observer)
