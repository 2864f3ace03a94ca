"""What is recorded as merged into a turn is what its model was told: of an input, never less and never twice."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import pytest

from livingworld import NewScene, Scene, Story, Turn, World
from livingworld.story.stories.appending import Replayed
from livingworld.story.turns.outcomes import Granted, Mergeable, Waiting
from livingworld.story.turns.records import BusyPolicy
from livingworld.story.turns.requests import TakeRequest
from livingworld.story.turns.turn_queue import Grant
from livingworld.testing.staged_races import holding
from tests.support.turn_checks import broken_turns, joined, merging, options_of, rows, until_found

_GONE_ITS_WAY: Final = """
    SELECT FROM livingworld.turns WHERE request_key = 'key'
    UNION ALL SELECT FROM livingworld.turn_waiters WHERE request_key = 'key'
"""

#: What a process asks once in every polling interval, for the first place of the leader.
LOOKED_AFTER: Final = """
    SELECT * FROM livingworld.called_turns_v1(
        $1, '1 hour', ARRAY[$2::uuid],
        ARRAY[1], ARRAY['leader'], ARRAY[$3::uuid], ARRAY[1], ARRAY[NULL], ARRAY[NULL::int]
    )
"""


async def tell(turn: Turn) -> NewScene:
    return NewScene(f"{turn.context.instruction}")


async def look(world: World, request: TakeRequest) -> Granted | Waiting | Mergeable:
    """Ask once, as a waiting caller does again and again."""
    answer = await world.turns._queue._ask(request)
    outcome = answer.outcome if isinstance(answer, Grant) else answer
    assert not isinstance(outcome, Replayed)
    return outcome


async def mergeable(world: World, request: TakeRequest) -> Mergeable:
    """Ask once, and find an input that waits."""
    outcome = await look(world, request)
    assert isinstance(outcome, Mergeable)
    return outcome


async def merge_behind_what_runs(world: World, story: Story, *keys: str) -> list[TakeRequest]:
    """Have the first key wait while another turn runs, and merge the others into it; return their tries."""
    tries = [merging(story.id, key) for key in keys]
    async with world.turns.take(story.id, request_key="ahead") as turn:
        assert isinstance(await look(world, tries[0]), Waiting)
        for each in tries[1:]:
            await world.turns._queue._merge(each, await mergeable(world, each), joined)
        await turn.commit(NewScene("ahead"))
    return tries


async def test_a_leader_that_begins_anew_without_an_input_does_not_answer_it(
    database_url: str, world: World, story: Story
) -> None:
    leader, _ = await merge_behind_what_runs(world, story, "leader", "merged")
    granted = await look(world, leader)
    assert isinstance(granted, Granted)
    assert granted.input.instruction == "leader+merged"
    await world.turns._queue._withdraw(leader)

    again = await world.turns.play(story.id, tell, request_key="leader", instruction="leader", **options_of("merge"))
    told = await world.turns.play(story.id, tell, request_key="merged", instruction="merged", **options_of("merge"))

    assert [(scene.number, scene.content) for scene in (again, told)] == [(2, "leader"), (3, "merged")]
    assert await broken_turns(database_url, story.id) == []


async def test_a_try_whose_first_answer_was_lost_is_granted_the_combined_input_again(
    database_url: str, world: World, story: Story
) -> None:
    leader, _ = await merge_behind_what_runs(world, story, "leader", "merged")
    granted = [each for each in [await look(world, leader) for _ in range(2)] if isinstance(each, Granted)]

    assert [each.input.instruction for each in granted] == ["leader+merged"] * 2
    assert [each.holding.token for each in granted] == [2, 2]
    assert await rows(database_url, "SELECT instruction FROM livingworld.turns WHERE request_key = 'leader'") == [
        ("leader+merged",)
    ]


async def test_an_input_that_went_its_own_way_is_not_told_by_the_turn_that_it_left(
    database_url: str, world: World, story: Story
) -> None:
    leader, _ = await merge_behind_what_runs(world, story, "leader", "merged")
    await rows(database_url, "UPDATE livingworld.turn_waiters SET expires_at = now()")  # nobody heard of it for long

    alone = await world.turns.play(story.id, tell, request_key="merged", instruction="merged", **options_of("merge"))
    thawed = await look(world, leader)

    assert alone.content == "merged"
    assert isinstance(thawed, Granted)
    assert thawed.input.instruction == "leader"


async def test_a_place_that_nobody_looked_after_in_time_takes_no_input_in_when_its_process_is_back(
    database_url: str, world: World, story: Story
) -> None:
    silent, _ = await merge_behind_what_runs(world, story, "leader", "merged")
    await rows(database_url, "UPDATE livingworld.turn_waiters SET expires_at = now()")
    async with world.turns.take(
        story.id, request_key="leader", instruction="leader", **options_of("merge")
    ) as delivered_again:
        called = await rows(database_url, LOOKED_AFTER, world.id, story.id, silent.owner)
        alone = merging(story.id, "merged")
        outcome = await look(world, alone)
        if isinstance(outcome, Mergeable):
            await world.turns._queue._merge(alone, outcome, joined)
        await delivered_again.commit(await tell(delivered_again))

    told = await world.turns.play(story.id, tell, request_key="merged", instruction="merged", **options_of("merge"))

    assert told.content == "merged"
    assert called == [(1,)]
    assert [scene.content for scene in await world.stories.recent(story.id, 10)] == ["ahead", "leader", "merged"]


async def test_an_answer_that_was_recorded_for_another_input_is_not_offered(
    database_url: str, world: World, story: Story
) -> None:
    await merge_behind_what_runs(world, story, "leader", "merged")
    offered: list[str | None] = []

    async def record_and_stop(turn: Turn) -> NewScene:
        await turn.record(f"an answer to {turn.context.instruction}")
        raise asyncio.CancelledError

    async def note(turn: Turn) -> NewScene:
        offered.append(turn.recorded.raw_response if turn.recorded else None)
        return await tell(turn)

    for write in (record_and_stop, note):
        with contextlib.suppress(asyncio.CancelledError):
            await world.turns.play(story.id, write, request_key="leader", instruction="leader", **options_of("merge"))
        await rows(database_url, "DELETE FROM livingworld.turn_waiters")  # who waited with the key has gone

    assert [scene.content for scene in await world.stories.recent(story.id, 10)] == ["ahead", "leader"]
    assert offered == [None]
    generations = await world.generations.alternatives(story.id, 2)
    assert [each.raw_response for each in generations] == ["an answer to leader+merged", None]


async def another_try(world: World, story: Story, fate: str, seen: Mergeable, go_on: asyncio.Event) -> Scene | None:
    """Have another try of the key carried out, taken, queued or merged."""

    async def write(turn: Turn) -> NewScene:
        await go_on.wait()
        return await tell(turn)

    if fate == "merged":
        await world.turns._queue._merge(merging(story.id, "key"), seen, joined)
        return None
    if fate == "committed":
        go_on.set()
    busy: BusyPolicy = "queue" if fate == "waits" else "replace"
    return await world.turns.play(story.id, write, request_key="key", instruction="key", busy=busy)


@pytest.mark.parametrize("fate", ["committed", "merged", "runs", "waits"])
async def test_an_input_whose_key_went_another_way_after_the_look_is_not_merged(
    database_url: str, world: World, story: Story, fate: str
) -> None:
    async with world.turns.take(story.id, request_key="ahead"):
        assert isinstance(await look(world, merging(story.id, "leader")), Waiting)
        late = merging(story.id, "key")
        seen = await mergeable(world, late)
        go_on = asyncio.Event()
        other = asyncio.create_task(another_try(world, story, fate, seen, go_on))
        await (other if fate == "committed" else until_found(database_url, _GONE_ITS_WAY))
        await world.turns._queue._merge(late, seen, joined)
        go_on.set()
    await other
    answers = [
        await world.turns.play(story.id, tell, request_key=key, instruction=key, **options_of("merge"))
        for key in ("leader", "key")
    ]

    for key, scene in zip(("leader", "key"), answers, strict=True):
        assert key in scene.content.split("+")
    told = [scene.content for scene in await world.stories.recent(story.id, 10)]
    assert sorted("+".join(told).split("+")) == ["key", "leader"]
    assert await broken_turns(database_url, story.id, idle=False) == []


async def test_a_merge_waits_for_who_writes_in_the_story(database_url: str, world: World, story: Story) -> None:
    held = "SELECT FROM livingworld.stories WHERE world_id = $1 AND story_id = $2 FOR NO KEY UPDATE"
    first, second = merging(story.id, "first"), merging(story.id, "second")
    async with world.turns.take(story.id, request_key="ahead"):
        assert isinstance(await look(world, first), Waiting)
        leader = await mergeable(world, second)
        async with holding(database_url, held, [world.id, story.id]) as holder:
            merge = asyncio.create_task(world.turns._queue._merge(second, leader, joined))
            await holder.until_blocked()
        assert await merge is not None
