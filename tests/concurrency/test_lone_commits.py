"""A turn that is committed in a group gets the answer that it gets alone, and leaves the same rows."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeAlias

import pytest

from livingworld import NewMemory, NewScene, NewState, Story, World
from livingworld.identifiers import new_id
from livingworld.postgres.group_commit.requests import NotTried
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.cast import newcomer_rows
from livingworld.story.stories.appending import Refusal
from livingworld.story.turns.holdings import give_up, record_answer
from livingworld.story.turns.outcomes import CommitOutcome, Committed, Granted
from livingworld.story.turns.records import TurnInput
from livingworld.story.turns.requests import CommitRequest, Holding
from livingworld.story.turns.writing import commit_turns
from livingworld.testing.staged_races import holding as held_row
from tests.concurrency.turn_players import expire
from tests.concurrency.turn_situations import KEY, STORED, decide, once, request
from tests.support.staging import THE_STORY
from tests.support.turn_checks import broken_turns, rows

Outcome: TypeAlias = CommitOutcome | NotTried
Situation: TypeAlias = Callable[[World, Story, str], Awaitable[CommitRequest]]
_VARIES: Final = r"[0-9a-f]{8}-[0-9a-f-]{27}"
_LEFT: Final = tuple(
    f"SELECT {columns} FROM {table} WHERE story_id = $1 ORDER BY 1, 2"  # noqa: S608 - names
    for table, columns in {
        "livingworld.turns": "request_key, state, attempts, token, scene_number",
        "livingworld.turn_leases": "branch_number, token, request_key, branch_version",
        "livingworld.generations": "request_key, attempt, state, scene_number, model, script_version, parameters, "
        "raw_response, input_tokens, error, CASE request_key WHEN 'asked' THEN duration_ms END",
        "livingworld.scenes": "scene_number, parent_scene_number, timeline_number, position, content, choices, "
        "chosen_choice, location, metadata, turn_key",
        "livingworld.branches": "branch_number, head_scene_number, head_timeline, head_position, version",
        "livingworld.memories": "content, scene_number",
        "livingworld.scene_cast": "scene_number, role",
        "(SELECT *, stream_id AS story_id FROM livingworld.live_events) AS event": "event_number, kind, details",
    }.items()
)


async def granted(
    world: World, story: Story, given: TurnInput | None = None, regenerates: int | None = None
) -> Holding:
    (answer,) = await decide(world, request(story, given=given or TurnInput(), regenerates=regenerates))
    assert isinstance(answer, Granted)
    return answer.holding


def brought(world: World, held: Holding, scene: NewScene = STORED, state: NewState | None = None) -> CommitRequest:
    return CommitRequest(
        holding=held,
        scene=scene,
        cast=tuple(newcomer_rows(world.id, scene.members)),
        raw_response=scene.raw_response,
        spare_id=new_id(),
        generation={"model": "m", "duration_ms": 7},
        state=None if state is None else state.as_json(),
    )


async def settle(world: World, *requests: CommitRequest) -> list[Outcome]:
    """Commit turns by one statement."""

    async def commit(tx: Transaction) -> list[Outcome]:
        return await commit_turns(tx, requests, wait=False)

    return await world.turns._services.unit.write_single_idempotent(commit)


async def held(world: World, story: Story, _: str) -> CommitRequest:
    return brought(world, await granted(world, story))


async def held_with_everything(world: World, story: Story, _: str) -> CommitRequest:
    scene = NewScene("They land.", ["on"], location="the quay", metadata={"tide": 1}, raw_response="{...}")
    return brought(world, await granted(world, story), scene, NewState(memories=[NewMemory("The rope broke.")]))


async def with_a_choice(world: World, story: Story, _: str) -> CommitRequest:
    return brought(world, await granted(world, story, TurnInput(2, "slowly", None)))


async def with_a_cast(world: World, story: Story, _: str) -> CommitRequest:
    await world.characters.get_or_create("Mara")
    return brought(world, await granted(world, story), NewScene("She waves.", cast=["Mara"]))


async def with_a_newcomer(world: World, story: Story, _: str) -> CommitRequest:
    return brought(world, await granted(world, story), NewScene("He waves.", cast=["Tom"]))


async def answered_before(world: World, story: Story, _: str) -> CommitRequest:
    held = await granted(world, story)
    known = {"raw_response": "said", "model": "n", "input_tokens": 3}
    await world.turns._services.unit.write_single_idempotent(record_answer, held, known)
    return brought(world, held)


async def given_back(world: World, story: Story, _: str) -> CommitRequest:
    held = await granted(world, story)
    await world.turns._services.unit.write_idempotent(give_up, held, {}, state="failed")
    return brought(world, held)


async def replaced(world: World, story: Story, _: str) -> CommitRequest:
    held = await granted(world, story)
    await decide(world, request(story, "instead", busy="replace"))
    return brought(world, held)


async def taken_over(world: World, story: Story, url: str) -> CommitRequest:
    held = await granted(world, story)
    await expire(url)
    await granted(world, story)
    return brought(world, held)


async def with_the_token_of_another(world: World, story: Story, url: str) -> CommitRequest:
    late = await taken_over(world, story, url)
    return replace(late, holding=replace(late.holding, token=late.holding.token + 1))


async def expired(world: World, story: Story, url: str) -> CommitRequest:
    held = await granted(world, story)
    await expire(url)
    return brought(world, held)


async def at_a_head_that_moved(world: World, story: Story, _: str) -> CommitRequest:
    held = await granted(world, story)
    await world.stories.append_scene(story.id, STORED)
    return brought(world, held)


async def at_a_head_that_was_moved_and_back(world: World, story: Story, _: str) -> CommitRequest:
    held = await granted(world, story)
    await world.stories.append_scene(story.id, STORED)
    await world.branches.undo(story.id)
    return brought(world, held)


async def at_a_head_with_a_scene_behind_it(world: World, story: Story, _: str) -> CommitRequest:
    await world.stories.append_scene(story.id, STORED)
    await world.branches.undo(story.id)
    return brought(world, await granted(world, story))


async def in_a_story_that_was_archived(world: World, story: Story, _: str) -> CommitRequest:
    held = await granted(world, story)
    await world.stories.archive(story.id)
    return brought(world, held)


async def committed_before(world: World, story: Story, _: str) -> CommitRequest:
    again = brought(world, await granted(world, story))
    await settle(world, again)
    return again


async def waited_for(world: World, story: Story, _: str) -> CommitRequest:
    held = await granted(world, story)
    await decide(world, request(story, given=TurnInput()), request(story, "next"))
    return brought(world, held)


async def followed(world: World, story: Story, url: str) -> CommitRequest:
    follow = (
        "INSERT INTO livingworld.live_streams (world_id, stream_id, followed_until, kept_after)"
        " VALUES ($1, $2, now() + interval '1 hour', 0)"
    )
    await rows(url, follow, world.id, story.id)
    return await held(world, story, url)


async def regenerating(world: World, story: Story, _: str) -> CommitRequest:
    return brought(world, await granted(world, story, regenerates=0))


SITUATIONS: Final[tuple[Situation, ...]] = (
    held,
    held_with_everything,
    with_a_choice,
    with_a_cast,
    with_a_newcomer,
    answered_before,
    given_back,
    replaced,
    taken_over,
    with_the_token_of_another,
    expired,
    at_a_head_that_moved,
    at_a_head_that_was_moved_and_back,
    at_a_head_with_a_scene_behind_it,
    in_a_story_that_was_archived,
    committed_before,
    waited_for,
    followed,
    regenerating,
)


def said(outcome: Outcome) -> object:
    """Return what an answer says, but for what differs between two stories and two moments."""
    if isinstance(outcome, Refusal):
        return type(outcome.error), re.sub(_VARIES, "*", str(outcome.error))
    if isinstance(outcome, Committed):
        scene = outcome.scene
        place = (scene.number, scene.parent_number, scene.position, scene.chosen_choice, scene.turn, scene.content)
        return place, [member.name for member in scene.cast], outcome.branch_number, outcome.wakes
    return outcome


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.__name__)
async def test_a_turn_is_committed_in_a_group_as_it_is_alone(
    database_url: str, world: World, situation: Situation
) -> None:
    stories = [await world.stories.create(f"{number}") for number in range(4)]
    for story in stories:
        await world.turns.play(story.id, once, request_key="an earlier one")
    alone, among, *others = stories
    asked_alone, asked_among = [await situation(world, story, database_url) for story in (alone, among)]
    ahead, behind = [await held(world, story, database_url) for story in others]

    (answer,) = await settle(world, asked_alone)
    answers = await settle(world, ahead, asked_among, behind)

    assert said(answers[1]) == said(answer)
    for statement in _LEFT:
        assert await rows(database_url, statement, among.id) == await rows(database_url, statement, alone.id)
    assert all(isinstance(each, Committed) for each in (answers[0], answers[2]))
    assert await broken_turns(database_url, alone.id, idle=False) == []


async def test_a_turn_of_a_story_that_is_held_is_not_committed_without_a_wait(
    database_url: str, world: World, story: Story
) -> None:
    await world.stories.append_scene(story.id, STORED)
    asked = await held(world, story, database_url)
    async with held_row(database_url, THE_STORY, [world.id, story.id]):
        (answer,) = await settle(world, asked)

    assert answer == NotTried(is_locked=True)
    (answer,) = await settle(world, asked)
    assert isinstance(answer, Committed)
    assert answer.scene.turn == KEY
