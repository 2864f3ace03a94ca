"""Rows become outcomes and records here and nowhere else in this package."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.errors import (
    Archived,
    BranchNotFound,
    Busy,
    CharacterNotFound,
    ChoiceNotFound,
    Fenced,
    GenerationIncomplete,
    GenerationNotFound,
    LimitReached,
    LivingWorldError,
    RequestKeyReused,
    SceneNotFound,
    StaleHead,
    StoryNotFound,
)
from livingworld.postgres.group_commit.requests import NOT_TRIED, NotTried
from livingworld.read_only import read_only
from livingworld.story.stories.appending import Refusal, Replayed
from livingworld.story.stories.records import Scene
from livingworld.story.stories.rows import make_cast_members, make_stored_scene
from livingworld.story.turns.outcomes import (
    AlreadyStored,
    Chosen,
    CommitOutcome,
    Committed,
    Granted,
    Mergeable,
    TakeOutcome,
    Waiting,
    Wakes,
)
from livingworld.story.turns.records import Generation, TurnInput
from livingworld.story.turns.requests import ChooseRequest, CommitRequest, Holding, TakeRequest

#: Most tries that wait at one branch, of all processes together; await_turn_v1 has the number too.
MAX_LINE: Final = 1_000
#: What a status of every function means when the id of the story says it all.
_REFUSALS: Final[dict[str, type[LivingWorldError]]] = {
    "story_not_found": StoryNotFound,
    "archived": Archived,
    "branch_not_found": BranchNotFound,
    "character_not_found": CharacterNotFound,
    "request_key_reused": RequestKeyReused,
    "replaced": Fenced,
    "fenced": Fenced,
}


def make_take_outcome(row: Row[Any], request: TakeRequest) -> TakeOutcome | NotTried:
    """Return what a row of take_turns_v1 means."""
    match row.status:
        case "granted":
            return Granted(_holding(row, request), _granted_input(row, request.input), row.answered, row.context)
        case "replayed":
            return Replayed(row.scene_number)
        case "waiting" if row.ticket is None:
            return Refusal(LimitReached(what="MAX_LINE", limit=MAX_LINE))
        case "waiting" | "following":
            return Waiting(row.branch_number, row.request_key if row.status == "following" else None, row.ticket)
        case "mergeable":
            return Mergeable(row.branch_number, row.request_key, row.ticket, row.merges, _input(row, row.player))
    return NOT_TRIED.get(row.status) or Refusal(_take_refusal(row, request))


def _input(row: Row[Any], player: str | None) -> TurnInput:
    return TurnInput(row.choice, row.instruction, player)


def _granted_input(row: Row[Any], given: TurnInput) -> TurnInput:
    """Return the input of a turn: the request's own, unless others were merged into it or it has a place's own."""
    same = row.choice == given.choice and row.instruction == given.instruction
    return given if same else _input(row, given.player)


def _holding(row: Row[Any], request: TakeRequest) -> Holding:
    return Holding(
        story_id=request.story_id,
        branch_number=row.branch_number,
        request_key=request.request_key,
        owner=request.owner,
        token=row.token,
        attempt=row.attempt,
        base_scene_number=row.base_scene_number,
    )


def _take_refusal(row: Row[Any], request: TakeRequest) -> LivingWorldError:
    match row.status:
        case "busy":
            seconds = row.running_seconds
            return Busy(
                request_key=row.request_key,
                player=row.player,
                running_for=None if seconds is None else timedelta(seconds=seconds),
                held_until=row.held_until,
            )
        case "stale_head":
            return StaleHead(expected=request.expected_head, actual=row.base_scene_number or 0)
        case "choice_not_found":
            return ChoiceNotFound(choice=request.input.choice, scene_number=row.base_scene_number or 0)
        case "scene_not_found":
            return SceneNotFound(story_id=request.story_id, scene_number=row.scene_number or 0)
    return _REFUSALS[row.status](story_id=request.story_id)


def make_commit_outcome(row: Row[Any], request: CommitRequest) -> CommitOutcome | NotTried:
    """Return what a row of commit_turns_v1 means."""
    match row.status:
        case "committed":
            return Committed(_committed_scene(row, request), row.branch_number, Wakes(row.next_key, row.followed))
        case "regenerated" | "replayed":
            wakes = Wakes(row.next_key, row.followed)
            return AlreadyStored(row.scene_number, row.branch_number, wakes, replayed=row.status == "replayed")
        case "stale_head":
            expected, actual = request.holding.base_scene_number or 0, row.parent_scene_number or 0
            return Refusal(StaleHead(expected=expected, actual=actual))
        case "choice_not_found":
            return Refusal(ChoiceNotFound(choice=row.chosen_choice, scene_number=row.parent_scene_number or 0))
    return NOT_TRIED.get(row.status) or Refusal(_REFUSALS[row.status](story_id=request.story_id))


def _committed_scene(row: Row[Any], request: CommitRequest) -> Scene:
    return make_stored_scene(
        request.scene,
        request.story_id,
        make_cast_members(row.cast_members),
        number=row.scene_number,
        parent_number=row.parent_scene_number,
        position=row.position,
        chosen_choice=row.chosen_choice,
        created_at=row.created_at,
        turn=request.holding.request_key,
    )


def make_choose_outcome(row: Row[Any], request: ChooseRequest) -> Chosen | Refusal:
    """Return what the row of choose_generation_v1 means."""
    match row.status:
        case "chosen" | "replayed":
            was_shown = row.status == "replayed"
            return Chosen(row.scene_number, row.branch_number, was_shown, row.holder_key, row.next_key)
        case "stale_head":
            return Refusal(StaleHead(expected=request.expected_head, actual=row.scene_number or 0))
        case "generation_not_found":
            return Refusal(GenerationNotFound(generation_id=request.generation_id))
        case "generation_incomplete":
            return Refusal(GenerationIncomplete(generation_id=request.generation_id))
    return Refusal(_REFUSALS[row.status](story_id=request.story_id))


def make_generation(row: Row[Any]) -> Generation:
    """Return the record that a row of the table generations makes."""
    return Generation(
        id=UUID(int=row.generation_id.int),
        story_id=UUID(int=row.story_id.int),
        request_key=row.request_key,
        attempt=row.attempt,
        state=row.state,
        scene_number=row.scene_number,
        model=row.model,
        script_version=row.script_version,
        parameters=read_only(row.parameters),
        prompt_digest=None if row.prompt_digest is None else row.prompt_digest.hex(),
        raw_response=row.raw_response,
        content=row.content,
        parsed=read_only(row.parsed),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        duration=None if row.duration_ms is None else timedelta(milliseconds=row.duration_ms),
        error=row.error,
        created_at=row.created_at,
    )
