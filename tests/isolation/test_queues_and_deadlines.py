"""Every queue has a limit with a name, and every call an end, time in queues included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from livingworld import LivingWorld, NewScene, Settings, Story, Subject, World, deadline
from livingworld.errors import CallTimeout, CommitUnknown, InvalidInput, LockTimeout, Overloaded, StaleHead, Unavailable
from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.group_commit.requests import GroupLimits
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import holding
from tests.isolation.function_calls import calls_of
from tests.isolation.regimes import held, running
from tests.support.patience import patiently
from tests.support.staging import kinds, stop

SOON = timedelta(milliseconds=300)


@asynccontextmanager
async def opened(url: str, world: World, **settings: object) -> AsyncIterator[World]:
    async with LivingWorld.open(Settings.load(database_url=url, **settings)) as livingworld:
        yield await livingworld.worlds.get(world.id)


async def test_a_full_queue_refuses_by_the_name_of_its_limit_and_writes_nothing(
    database_url: str, world: World, story: Story
) -> None:
    async with opened(database_url, world, queue_limit=5) as narrow, held(database_url, [story]):
        appends = [narrow.stories.append_scene(story.id, NewScene(f"{number}")) for number in range(5)]
        async with running(appends):
            await asyncio.sleep(0)
            with pytest.raises(Overloaded) as refused:
                await narrow.stories.append_scene(story.id, NewScene("one too many"))

    assert (refused.value.setting, refused.value.limit) == ("queue_limit", 5)
    assert "queue_limit" in str(refused.value)
    assert "one too many" not in {scene.content for scene in await world.stories.recent(story.id, 10)}


async def test_the_text_that_waits_has_a_limit_too(database_url: str, world: World, story: Story) -> None:
    async with (
        opened(database_url, world, queue_characters=1000) as narrow,
        held(database_url, [story]),
        running([narrow.stories.append_scene(story.id, NewScene("x" * 900))]),
    ):
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await narrow.stories.append_scene(story.id, NewScene("x" * 200))

    assert (refused.value.setting, refused.value.limit) == ("queue_characters", 1000)


async def test_a_place_in_the_queue_is_free_again_after_every_end(
    database_url: str, world: World, story: Story
) -> None:
    async with opened(database_url, world, queue_limit=3) as narrow:
        async with held(database_url, [story]) as holder:
            tasks = [asyncio.create_task(narrow.stories.append_scene(story.id, NewScene("x"))) for _ in range(2)]
            await holder.until_blocked()
            await stop(tasks)
        for _ in range(5):
            await narrow.stories.append_scene(story.id, NewScene("again"))
            with pytest.raises(StaleHead):
                await narrow.stories.append_scene(story.id, NewScene("stale"), expected_head=0)
            await narrow.stories.get(story.id)


async def test_a_write_that_waits_for_a_held_story_ends_with_its_call_and_is_not_written(
    database_url: str, world: World, story: Story
) -> None:
    writes = [
        world.stories.append_scene(story.id, NewScene("late")),
        world.facts.set(story.id, Subject("weather"), "sky", "grey"),
        world.stories.update(story.id, expected_version=1, title="late"),
    ]
    async with held(database_url, [story]):
        for write in writes:
            with deadline(SOON), pytest.raises((CallTimeout, LockTimeout)):
                await write

    assert not await world.stories.recent(story.id, 10)
    assert (await world.stories.get(story.id)).version == 1


async def test_time_in_the_queue_behind_others_counts(database_url: str, world: World, story: Story) -> None:
    """The second is not sent while the first is under way, and ends all the same."""
    async with (
        held(database_url, [story]) as holder,
        running([world.stories.append_scene(story.id, NewScene("first"))]) as (first,),
    ):
        await holder.until_blocked()
        with deadline(SOON), pytest.raises(CallTimeout):
            await world.stories.append_scene(story.id, NewScene("second"))
        assert not first.done()


async def test_a_read_ends_with_its_call(database_url: str, world: World, story: Story) -> None:
    async with holding(database_url, "LOCK TABLE livingworld.stories IN ACCESS EXCLUSIVE MODE"):
        with deadline(SOON), pytest.raises(CallTimeout):
            await world.stories.get(story.id)
    assert (await world.stories.get(story.id)).title == story.title


@pytest.mark.direct_connection("behind a pooler it is a transaction whose COMMIT was not sent: nothing is unknown")
async def test_a_write_under_way_without_a_request_key_is_unknown(world: World) -> None:
    unit = world._unit

    async def sleep(tx: Any) -> None:  # noqa: ANN401
        await tx.execute(text("SELECT pg_sleep(600)"))

    with deadline(SOON), pytest.raises(CommitUnknown):
        await unit.write_single(sleep)
    with deadline(SOON), pytest.raises(CallTimeout):
        await unit.read(sleep)
    with deadline(SOON), pytest.raises(CallTimeout):
        await unit.write(sleep)


async def test_an_outer_deadline_is_not_extended_and_a_past_one_sends_nothing(world: World) -> None:
    with deadline(timedelta(0)), deadline(timedelta(minutes=5)), pytest.raises(CallTimeout):
        await world.stories.create("Never")
    with pytest.raises(InvalidInput, match="limit"), deadline("soon"):  # type: ignore[arg-type]
        pass
    assert (await world.stories.list()).items == ()


async def test_a_background_task_does_not_inherit_the_deadline_of_who_started_it(world: World, story: Story) -> None:
    """The turn is given up after the deadline of its caller, so that the branch is free at once."""
    with deadline(SOON):
        async with world.turns.take(story.id, request_key="first"):
            await asyncio.sleep(SOON.total_seconds() * 1.1)
    async with world.turns.take(story.id, request_key="second") as turn:
        assert turn.scene is None


async def test_while_the_database_is_away_every_append_is_answered(database_url: str, world: World) -> None:
    async with protocol_proxy(database_url) as proxy:
        settings = {"call_timeout": 1, "outage_retries": 1000, "command_timeout": 40}
        async with opened(proxy.url, world, **settings) as cut_off:
            proxy.flowing.clear()
            appends = [cut_off.stories.append_scene(uuid4(), NewScene("x")) for _ in range(500)]
            async with patiently():
                answers = await asyncio.gather(*appends, return_exceptions=True)

    assert all(isinstance(answer, Unavailable | CallTimeout) for answer in answers), kinds(answers)


class _Request:
    repeatable = True
    characters = 200

    def __init__(self, story_id: UUID) -> None:
        self.story_id = story_id


class _Result:
    pass


async def _answer_at_once(tx: object, requests: Any, *, wait: bool) -> list[Any]:  # noqa: ANN401
    return [_Result() for _ in requests]


class _Nowhere:
    async def run(self, work: Any, **_: object) -> Any:  # noqa: ANN401
        await asyncio.sleep(0)
        return await work(SimpleNamespace(lock_watch=None))


@pytest.mark.parametrize("stories", [1, 0])
async def test_a_request_costs_as_much_in_a_long_queue_as_in_a_short_one(stories: int) -> None:
    """Counted in function calls, which do not depend on the machine; 0: a story for each request."""

    async def cost(requests: int) -> float:
        group = GroupCommit[Any, Any](_Nowhere(), uuid4(), _answer_at_once, GroupLimits(of_a_story=requests))
        ids = [uuid4() for _ in range(stories or requests)]

        async def all_of_them() -> None:
            await asyncio.gather(*(group.submit(_Request(ids[number % len(ids)])) for number in range(requests)))

        return await calls_of(all_of_them) / requests

    short, long = await cost(500), await cost(10_000)

    assert long < 1.2 * short
