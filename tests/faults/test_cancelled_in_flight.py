"""The caller is cancelled while the server has done the work and its answer is still on the way."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.app.transaction_scope import TransactionScope
from livingworld.errors import TransactionPoisoned, Unavailable
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy, ProxiedConnection
from livingworld.testing.staged_races import Connection
from tests.support.aftermath import assert_nothing_left, count, scene_contents


async def test_a_cancelled_append_takes_nobody_with_it(
    proxy: ProtocolProxy, world: World, story: Story, livingworld: LivingWorld, observer: Connection
) -> None:
    tasks = [
        asyncio.create_task(world.stories.append_scene(story.id, NewScene(f"Scene {number}."))) for number in range(4)
    ]

    async def cancel_the_second(_: ProxiedConnection) -> None:
        tasks[1].cancel()

    proxy.at(Moment.AFTER, "append_scenes_v1", cancel_the_second)
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(answers[1], asyncio.CancelledError)
    assert [answer.number for answer in answers if not isinstance(answer, BaseException)] == [1, 3, 4]
    assert await scene_contents(observer, story.id) == [f"Scene {number}." for number in range(4)]
    await assert_nothing_left(livingworld, observer)


async def test_cancelled_in_commit_a_run_is_found_again_by_its_request_key(
    proxy: ProtocolProxy, world: World, story: Story, livingworld: LivingWorld, observer: Connection
) -> None:
    async def work(tx: TransactionScope) -> int:
        return (await tx.stories.append_scene(story.id, NewScene("Once."))).number

    task = asyncio.create_task(world.run(work, request_key="once"))

    async def cancel(_: ProxiedConnection) -> None:
        task.cancel()

    proxy.at(Moment.AFTER, "COMMIT;", cancel)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await world.run(work, request_key="once") == 1
    assert await count(observer, "scenes") == 1
    await assert_nothing_left(livingworld, observer)


@pytest.mark.parametrize("statement", ["append_scenes_v1", "SAVEPOINT", "RELEASE", "INSERT INTO"])
@pytest.mark.parametrize("moment", Moment)
async def test_a_transaction_that_swallows_a_cancellation_cannot_look_like_success(
    statement: str,
    moment: Moment,
    proxy: ProtocolProxy,
    world: World,
    story: Story,
    livingworld: LivingWorld,
    observer: Connection,
) -> None:
    async def work() -> None:
        async with world.transaction() as tx:
            with contextlib.suppress(asyncio.CancelledError):
                await tx.stories.append_scene(story.id, NewScene("Never.", cast=["Mara"]))

    async def cancel(_: ProxiedConnection) -> None:
        task.cancel()

    fault = proxy.at(moment, statement, cancel)
    task = asyncio.create_task(work())
    with pytest.raises((TransactionPoisoned, Unavailable)):
        await task

    assert fault.happened.is_set()
    assert await count(observer, "scenes") == await count(observer, "characters") == 0
    await assert_nothing_left(livingworld, observer)
