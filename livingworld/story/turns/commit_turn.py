"""Commit a turn: the scene, its choices, its cast and the generation, with the proof that the turn is still held."""

from __future__ import annotations

from typing import TypeAlias

from livingworld.deadlines import one_call
from livingworld.identifiers import new_id
from livingworld.observability import events
from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.services import Services
from livingworld.story.characters.cast import newcomer_rows
from livingworld.story.stories.appending import Refusal
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import Scene
from livingworld.story.turns.attempt import Attempt
from livingworld.story.turns.new_state import NewState
from livingworld.story.turns.outcomes import CommitOutcome, Committed, Wakes
from livingworld.story.turns.requests import CommitRequest, Holding, end_topic, turn_topic
from livingworld.story.turns.writing import commit_turn

Commits: TypeAlias = GroupCommit[CommitRequest, CommitOutcome]


async def commit(
    services: Services, commits: Commits, holding: Holding, scene: NewScene, attempt: Attempt, state: NewState | None
) -> Scene:
    """Store the scene of a turn and its state, wake those who wait for that, and return the scene."""
    request = CommitRequest(
        holding=holding,
        scene=scene,
        cast=tuple(newcomer_rows(services.world_id, scene.members)),
        raw_response=attempt.raw_response if scene.raw_response is None else scene.raw_response,
        spare_id=new_id(),
        generation=attempt.as_json(),
        state=None if state is None else state.as_json(),
    )
    with one_call(services.unit.call_timeout):
        outcome = await _store(services, commits, request)
        place = {"world_id": services.world_id, "story_id": holding.story_id}
        if isinstance(outcome, Refusal):
            events.emit(events.TURN_REFUSED, **place, error=type(outcome.error).__name__)
            raise outcome.error
        number = outcome.scene.number if isinstance(outcome, Committed) else outcome.scene_number
        events.emit(events.TURN_COMMITTED, **place, scene_number=number, branch_number=outcome.branch_number)
        _wake(services, holding, outcome.wakes)
        if isinstance(outcome, Committed):
            return outcome.scene
        return await services.unit.read(read_scene, holding.story_id, number)


def _wake(services: Services, holding: Holding, wakes: Wakes) -> None:
    if wakes.followed:
        services.notifications.notify(end_topic(holding.story_id, holding.request_key))
    if wakes.next_key is not None:
        services.notifications.notify_nearest(turn_topic(holding.story_id, wakes.next_key))


async def _store(services: Services, commits: Commits, request: CommitRequest) -> CommitOutcome:
    if request.state is not None:
        return await services.unit.write_single_idempotent(commit_turn, request)
    services.unit.refuse_misplaced()
    return await commits.submit(request)
