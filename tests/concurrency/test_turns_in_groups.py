"""A turn that is taken in a group gets the answer that it gets alone, whatever stands in its way."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final

import pytest

from livingworld import NewMemory, NewScene, NewState, RelationshipChange, Story, World
from livingworld.errors import StoryNotFound
from livingworld.identifiers import new_id
from livingworld.postgres.group_commit.requests import NotTried
from livingworld.story.stories.appending import Refusal
from livingworld.story.turns.checked_request import RECENT
from livingworld.story.turns.outcomes import Granted, Waiting
from livingworld.story.turns.requests import TakeRequest
from livingworld.testing.staged_races import holding
from tests.concurrency.turn_situations import KEY, SITUATIONS, STORED, Answer, Situation, decide, request
from tests.support.staging import THE_STORY
from tests.support.turn_checks import broken_turns, rows

#: What differs between two stories and two moments, in the text of an error.
_VARIES: Final = r"[0-9a-f]{8}-[0-9a-f-]{27}|\d:\d\d:\d\d\.\d+|\d{4}-\d\d-\d\d \S+"
_LEFT: Final = tuple(
    f"SELECT {columns} FROM livingworld.{table} WHERE story_id = $1 ORDER BY 1, 2"  # noqa: S608 - names
    for table, columns in {
        "turns": "request_key, state, branch_number, base_scene_number, player, choice, instruction, origin_key,"
        " regenerates, merged_into, attempts, token, scene_number",
        "turn_leases": "branch_number, token, request_key, branch_version, last_ticket, expires_at - taken_at",
        "turn_waiters": "ticket, request_key, branch_number, mergeable, merges, player, choice, instruction",
    }.items()
)


def said(answer: Answer, asked: TakeRequest) -> object:
    """Return what an answer says, but for what differs between two stories, two tries and two moments."""
    if isinstance(answer, Refusal):
        return type(answer.error), re.sub(_VARIES, "*", str(answer.error))
    if isinstance(answer, Granted):
        holding, context = answer.holding, json.loads(answer.context)
        assert (holding.story_id, holding.request_key, holding.owner) == (asked.story_id, KEY, asked.owner)
        granted = (holding.branch_number, holding.token, holding.attempt, holding.base_scene_number, answer.input)
        return granted, answer.answered is None, [scene[0] for scene in context["recent"] or []]
    return answer


async def left(url: str, story: Story) -> list[object]:
    """Return what stands of the turns of a story."""
    return [await rows(url, statement, story.id) for statement in _LEFT]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.__name__)
async def test_a_turn_is_decided_in_a_group_as_it_is_alone(
    database_url: str, world: World, situation: Situation
) -> None:
    url = database_url
    stories = [await world.stories.create(f"{number}") for number in range(5)]
    for story in stories:
        await world.stories.append_scene(story.id, STORED)
    alone, among, *others = stories
    asked_alone, asked_among = await situation(world, alone, url), await situation(world, among, url)
    ahead, behind_it, last = (request(story) for story in others)

    (answer,) = await decide(world, asked_alone)
    answers = await decide(world, ahead, asked_among, behind_it, last)

    assert said(answers[1], asked_among) == said(answer, asked_alone)
    assert await left(url, among) == await left(url, alone)
    assert all(isinstance(each, Granted) for each in (answers[0], *answers[2:]))
    assert await broken_turns(url, among.id, idle=False) == []


async def test_of_two_turns_of_a_story_in_a_group_the_first_is_taken_and_the_second_waits(world: World) -> None:
    stories = [await world.stories.create(f"{number}") for number in range(3)]
    requests = [request(stories[0], "first"), request(stories[0], "second"), *map(request, stories[1:])]

    first, second, *others = await decide(world, *requests)

    assert isinstance(second, Waiting)
    assert all(isinstance(each, Granted) for each in (first, *others))


async def test_a_story_that_is_held_or_does_not_exist_stops_no_other_turn_of_its_group(
    database_url: str, world: World
) -> None:
    stories = [await world.stories.create(f"{number}") for number in range(4)]
    nowhere = replace(request(stories[0]), story_id=new_id())
    async with holding(database_url, THE_STORY, [world.id, stories[1].id]):
        first, held_one, missing, *others = await decide(
            world, request(stories[0]), request(stories[1]), nowhere, request(stories[2]), request(stories[3])
        )

    assert held_one == NotTried(is_locked=True)
    assert isinstance(missing, Refusal)
    assert isinstance(missing.error, StoryNotFound)
    assert all(isinstance(each, Granted) for each in (first, *others))


async def test_the_context_of_a_turn_is_in_a_group_what_it_is_alone(world: World) -> None:
    stories = [await world.stories.create(f"{number}") for number in range(4)]
    for story in stories[:3]:
        await furnish(world, story)
    fork = await world.branches.fork(stories[2].id, "other", at=2)
    branches = (None, None, fork.number, None)
    alone = [await context_alone(world, story, branch) for story, branch in zip(stories, branches, strict=True)]

    together = await decide(
        world, *(request(story, branch=branch) for story, branch in zip(stories, branches, strict=True))
    )

    assert [each.context for each in together if isinstance(each, Granted)] == alone
    parts = [{name for name, part in json.loads(each).items() if part is not None} for each in alone]
    everything = {"story", "branch", "recent", "cast", "facts", "relationships", "memories"}
    assert parts == [everything, everything, everything, {"story", "branch"}]


async def context_alone(world: World, story: Story, branch: int | None) -> str:
    (granted,) = await decide(world, request(story, "alone", branch=branch))
    assert isinstance(granted, Granted)
    async with world.turns.take(story.id, request_key="instead", branch=branch, busy="replace"):
        return granted.context


async def furnish(world: World, story: Story) -> None:
    """Give a story more scenes than a context has, each with what a context tells."""
    for number in range(RECENT + 3):
        state = NewState(
            facts={("Mara", "mood"): number},
            relationships=[RelationshipChange("Mara", "Tom", trust=number / 10)],
            memories=[NewMemory(f"{story.title} {number}", "Mara")],
        )
        async with world.turns.take(story.id, request_key=f"scene {number}") as turn:
            await turn.commit(NewScene(f"{number}", cast=["Mara", "Tom"]), state)
