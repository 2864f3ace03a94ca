"""What a process meets at locks is counted by kind and by story, in bounded memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from livingworld import LivingWorld, LockCounts, NewScene, Settings, Story, World
from livingworld.errors import InvalidNumber, LockOrderViolation, LockTimeout
from livingworld.identifiers import new_id
from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics
from livingworld.postgres.transactions.contention import MOST_STORIES, Contention
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.testing.staged_races import holding
from tests.support.staging import THE_STORY


def of_kind(livingworld: LivingWorld, kind: str) -> LockCounts:
    (found,) = [each for each in livingworld.contention().kinds if each.kind == kind]
    return found


async def test_a_call_that_waited_is_counted_at_its_story_and_at_its_kind(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
        appending = asyncio.create_task(world.stories.append_scene(story.id, NewScene("One.")))
        await holder.until_blocked()
    await appending

    (hot,) = livingworld.contention().stories
    kind = of_kind(livingworld, "story")
    assert (hot.kind, hot.world_id, hot.story_id) == ("story", world.id, story.id)
    assert (hot.waits, hot.timeouts, kind.waits) == (1, 0, 1)
    assert hot.wait_time == hot.longest_wait > timedelta(0)
    assert min(hot.conflicts, hot.retries, kind.holds) >= 1

    async with world.transaction() as tx:
        await tx.stories.lock(story.id)
    (hot,) = livingworld.contention().stories
    assert (hot.holds, hot.hold_time == hot.longest_hold > timedelta(0)) == (1, True)


async def test_a_call_that_waited_as_long_as_it_may_is_a_timeout(database_url: str, world: World, story: Story) -> None:
    settings = Settings.load(database_url=database_url, lock_timeout=0.05)
    async with LivingWorld.open(settings) as livingworld, holding(database_url, THE_STORY, [world.id, story.id]):
        ours = await livingworld.worlds.get(world.id)
        with pytest.raises(LockTimeout):
            await ours.stories.update(story.id, expected_version=1, title="Late")
        with pytest.raises(LockTimeout):
            async with ours.transaction() as tx:
                await tx.stories.lock(story.id)

        (hot,) = livingworld.contention().stories
        assert (hot.waits, hot.timeouts) == (2, 2)


async def test_a_transaction_holds_each_kind_from_its_first_lock_to_its_end(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with world.transaction() as tx:
        await tx.locks.exclusive("tide")
        await tx.stories.lock(story.id)

    application, of_story = of_kind(livingworld, "application"), of_kind(livingworld, "story")
    assert (application.holds, of_story.holds, application.waits) == (1, 1, 0)
    assert application.hold_time > of_story.hold_time > timedelta(0)
    assert (application.conflicts, of_story.conflicts) == (0, 0)


async def test_a_lock_that_is_refused_out_of_order_is_a_conflict(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with holding(database_url, THE_STORY, [world.id, story.id]), world.transaction() as tx:
        await tx.characters.get_or_create("Mara")
        with pytest.raises(LockOrderViolation):
            await tx.stories.lock(story.id)

    of_story = of_kind(livingworld, "story")
    assert (of_story.conflicts, of_story.waits, of_story.timeouts) == (1, 0, 0)


async def test_only_so_many_stories_are_kept_and_the_hottest_come_first(livingworld: LivingWorld) -> None:
    contention, world = Contention(Metrics()), new_id()
    hottest = new_id()
    for number in range(MOST_STORIES + 50):
        contention.waited((LockKind.STORY, world, new_id()), 1)
        if number % 100 == 0:
            contention.waited((LockKind.STORY, world, hottest), 1)

    report = contention.report(5)
    assert report.stories[0].story_id == hottest
    assert len(contention._stories) == MOST_STORIES
    with pytest.raises(InvalidNumber):
        livingworld.contention(stories=-1)


async def test_the_metrics_count_the_same_by_kind() -> None:
    metrics = Metrics()
    contention = Contention(metrics)
    contention.met((LockKind.LANE, "a"))
    contention.waited((LockKind.LANE, "a"), 2, timed_out=True)
    contention.held(LockKind.LANE, 3)
    contention.deadlocked("cycle")

    read = {series.instrument: series for series in metrics.snapshot().series}
    assert read[instruments.LOCK_CONFLICTS].value == read[instruments.LOCK_TIMEOUTS].value == 1
    assert {read[each].attributes["kind"] for each in (instruments.LOCK_WAIT, instruments.LOCK_HOLD)} == {"lane"}
    assert read[instruments.DEADLOCKS].attributes == {"reason": "cycle"}
