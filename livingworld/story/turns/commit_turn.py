"""Commit a turn: the scene, its choices, its cast and the generation, with the proof that the turn is still ours."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from livingworld.deadlines import one_call
from livingworld.identifiers import new_id
from livingworld.inputs import check_uuid
from livingworld.observability import events
from livingworld.story.characters.cast_names import cast_rows
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import CastMember, Choice, Scene
from livingworld.story.turns.attempt import Attempt
from livingworld.story.turns.committing import CommitRequest, CommitResult, Holding, commit_with_state, refusal
from livingworld.story.turns.new_state import NewState
from livingworld.story.turns.turn_services import TurnServices


async def commit_turn(
    services: TurnServices,
    holding: Holding,
    scene: NewScene,
    raw_response: str | None,
    attempt: Attempt,
    state: NewState | None,
) -> tuple[Scene, bool]:
    """Store the scene of a turn and its state; return the scene, and whether somebody waits for the branch."""
    request = CommitRequest(
        holding=holding,
        content=scene.content,
        location=scene.location,
        story_time=scene.story_time,
        metadata=dict(scene.metadata),
        raw_response=raw_response,
        choices=tuple(scene.choices),
        cast=tuple(_cast(services.world_id, scene)),
        spare_id=new_id(),
        generation=attempt.as_json(),
    )
    with one_call(services.unit.call_timeout):
        return await _commit(services, request, state)


async def _commit(services: TurnServices, request: CommitRequest, state: NewState | None) -> tuple[Scene, bool]:
    holding = request.holding
    result = await _store(services, request, state)
    place = {"world_id": services.world_id, "story_id": holding.story_id}
    if (error := refusal(result, holding)) is not None:
        events.emit(events.TURN_REFUSED, **place, error=type(error).__name__)
        raise error
    events.emit(events.TURN_COMMITTED, **place, scene_number=result.scene_number, branch_number=result.branch_number)
    if result.status == "committed":
        return _scene(result, request), result.awaited
    return await stored_scene(services, holding.story_id, result.scene_number or 0), result.awaited


async def _store(services: TurnServices, request: CommitRequest, state: NewState | None) -> CommitResult:
    if state is None:
        services.unit.refuse_misplaced()
        return await services.commits.submit(request)
    told = state.as_json(lambda name: str(cast_rows(services.world_id, [name])[0]["name_key"]))
    return await services.unit.run(
        lambda tx: commit_with_state(tx, services.world_id, request, told), repeatable=True, single_statement=True
    )


async def stored_scene(services: TurnServices, story_id: UUID, number: int) -> Scene:
    """Return a scene that is stored already."""
    return await services.unit.run(lambda tx: read_scene(tx, story_id, number), repeatable=True, single_statement=True)


def _cast(world_id: UUID, scene: NewScene) -> list[dict[str, Any]]:
    """Return who appears: by id, or by name with what making the character takes."""
    by_name = iter(cast_rows(world_id, scene.names()))
    rows = []
    for member in scene.members:
        named = isinstance(member.character, str)
        who = next(by_name) if named else {"character_id": str(check_uuid("cast", member.character))}
        rows.append({**who, "role": member.role, "importance": member.importance})
    return rows


def _scene(result: CommitResult, request: CommitRequest) -> Scene:
    cast = (CastMember(UUID(member["character_id"]), member["role"], member["importance"]) for member in result.cast())
    return Scene(
        story_id=request.story_id,
        number=result.scene_number or 0,
        parent_number=result.parent_number,
        position=result.position or 0,
        content=request.content,
        choices=tuple(Choice(number, choice) for number, choice in enumerate(request.choices, start=1)),
        cast=tuple(sorted(cast, key=lambda member: str(member.character))),
        chosen_choice=result.chosen_choice,
        location=request.location,
        story_time=request.story_time,
        metadata=request.metadata,
        version=1,
        created_at=result.created_at,
        updated_at=result.created_at,
    )
