"""Rows of turns, their calls and their sums, and the records that they become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.read_only import read_only
from livingworld.story.turns.rows import make_generation
from livingworld.story.turns.turn_records import (
    ModelCall,
    PlayerInput,
    TokenUsage,
    TurnAttempt,
    TurnRecord,
    TurnTree,
)


def make_turn(row: Row[Any]) -> TurnRecord:
    """Return the record that a row of turns.sql makes."""
    return TurnRecord(
        story_id=UUID(int=row.story_id.int),
        request_key=row.request_key,
        player=row.player,
        state=row.state,
        branch=row.branch_number,
        head=row.base_scene_number or 0,
        choice=row.choice,
        instruction=row.instruction,
        inputs=_inputs(row),
        merged_into=row.merged_into,
        regenerates=row.regenerates,
        scene_number=row.scene_number,
        attempts=row.attempts,
        model=row.model,
        duration=None if row.duration_ms is None else timedelta(milliseconds=row.duration_ms),
        error=row.error,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _inputs(row: Row[Any]) -> tuple[PlayerInput, ...]:
    own = row.own_input or {"choice": row.choice, "instruction": row.instruction}
    return (
        PlayerInput(request_key=row.request_key, player=row.player, **own),
        *(
            PlayerInput(request_key=key, player=player, choice=choice, instruction=instruction)
            for key, player, choice, instruction in row.inputs or ()
        ),
    )


def make_tree(turn: TurnRecord, generations: Sequence[Row[Any]], calls: Sequence[Row[Any]]) -> TurnTree:
    """Return a turn with its attempts; calls whose generation is not stored belong to the attempt that runs."""
    attempts = {row.generation_id: row.attempt for row in generations}
    numbers = sorted({*attempts.values(), *(attempts.get(row.generation_id, turn.attempts) for row in calls)})
    made = {row.attempt: make_generation(row) for row in generations}
    return TurnTree(
        turn=turn,
        attempts=tuple(
            TurnAttempt(
                number=number,
                generation=made.get(number),
                calls=_calls([row for row in calls if attempts.get(row.generation_id, turn.attempts) == number], None),
            )
            for number in numbers
        ),
    )


def _calls(rows: Iterable[Row[Any]], parent_id: UUID | None) -> tuple[ModelCall, ...]:
    """Return the calls of one parent; what was called in a call that was not stored itself is left out."""
    rows = list(rows)
    return tuple(_call(row, _calls(rows, row.call_id)) for row in rows if row.parent_id == parent_id)


def _call(row: Row[Any], calls: tuple[ModelCall, ...]) -> ModelCall:
    return ModelCall(
        id=UUID(int=row.call_id.int),
        name=row.name,
        model=row.model,
        script_version=row.script_version,
        parameters=read_only(row.parameters),
        prompt=dict(row.prompt),
        answer=row.answer,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        duration=timedelta(milliseconds=row.duration_ms),
        error=row.error,
        created_at=row.created_at,
        calls=calls,
    )


def make_usage(row: Row[Any]) -> TokenUsage:
    """Return the record that a row of usage.sql makes."""
    return TokenUsage(
        story_id=None if row.story_id is None else UUID(int=row.story_id.int),
        request_key=row.request_key,
        player=row.player,
        model=row.model,
        script_version=row.script_version,
        calls=row.calls,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
    )
