"""Commit a turn: the scene, its choices, its cast and the generation, with the proof that the turn is still held."""

from __future__ import annotations

from typing import NoReturn
from uuid import UUID

from livingworld.deadlines import one_call
from livingworld.errors import LivingWorldError
from livingworld.identifiers import new_id
from livingworld.observability import events
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.cast import newcomer_rows
from livingworld.story.stories.appending import Refusal
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import Scene
from livingworld.story.turns.attempt import Attempt
from livingworld.story.turns.new_state import NewState
from livingworld.story.turns.outcomes import AlreadyStored, CommitOutcome, Committed, Wakes
from livingworld.story.turns.requests import CommitRequest, Holding, end_topic, turn_topic
from livingworld.story.turns.turn_parts import Effect, Scope, TurnParts
from livingworld.story.turns.writing import commit_joined, commit_turn


async def commit(
    parts: TurnParts[Scope],
    holding: Holding,
    scene: NewScene,
    attempt: Attempt,
    state: NewState | None,
    effect: Effect[Scope] | None,
) -> Scene:
    """Store the scene of a turn, its state and its effect, wake those who wait for that, and return the scene."""
    services = parts.services
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
        outcome = await _store(parts, request, effect)
        place = {"world_id": services.world_id, "story_id": holding.story_id}
        if isinstance(outcome, Refusal):
            _refuse(parts, place, outcome.error)
        number = outcome.scene.number if isinstance(outcome, Committed) else outcome.scene_number
        events.emit(events.TURN_COMMITTED, **place, scene_number=number, branch_number=outcome.branch_number)
        _wake(services, holding, outcome.wakes)
        if isinstance(outcome, Committed):
            return outcome.scene
        return await services.unit.read(read_scene, holding.story_id, number)


def _refuse(parts: TurnParts[Scope], place: dict[str, UUID], error: LivingWorldError) -> NoReturn:
    parts.commits.meter.refused(error)
    events.emit(events.TURN_REFUSED, **place, error=type(error).__name__)
    raise error


def _wake(services: Services, holding: Holding, wakes: Wakes) -> None:
    if wakes.followed:
        services.notifications.notify(end_topic(holding.story_id, holding.request_key))
    if wakes.next_key is not None:
        services.notifications.notify_nearest(turn_topic(holding.story_id, wakes.next_key))


async def _store(parts: TurnParts[Scope], request: CommitRequest, effect: Effect[Scope] | None) -> CommitOutcome:
    unit = parts.services.unit
    if effect is not None:
        return await unit.write_idempotent(_commit_with_effect, parts, request, effect)
    if request.state is not None:
        return await unit.write_single_idempotent(commit_turn, request)
    unit.refuse_misplaced()
    return await parts.commits.submit(request)


async def _commit_with_effect(
    tx: Transaction, parts: TurnParts[Scope], request: CommitRequest, effect: Effect[Scope]
) -> CommitOutcome:
    """Commit one turn, then let its effect write; an earlier commit of the turn has its effect already."""
    outcome = await commit_joined(tx, request)
    if isinstance(outcome, Committed) or (isinstance(outcome, AlreadyStored) and not outcome.replayed):
        await effect(parts.scope(tx))
    return outcome
