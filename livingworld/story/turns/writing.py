"""Writing turns by one statement each: take, merge, commit, and choose among generations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from datetime import timedelta
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from livingworld.inputs import canonical_json
from livingworld.live.kinds import LiveKind
from livingworld.live.log import note_published, publish_at_commit
from livingworld.observability import events
from livingworld.postgres.group_commit.requests import NotTried
from livingworld.postgres.locks import in_order, row_order_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.appending import Refusal
from livingworld.story.turns.outcomes import (
    AlreadyStored,
    Chosen,
    CommitOutcome,
    Committed,
    Granted,
    Mergeable,
    TakeOutcome,
)
from livingworld.story.turns.records import TurnInput
from livingworld.story.turns.requests import ChooseRequest, CommitRequest, TakeRequest, end_topic, turn_topic
from livingworld.story.turns.rows import make_choose_outcome, make_commit_outcome, make_take_outcome


def _parameters(count: int) -> str:
    """Return parameters as asyncpg takes them; the driver knows their types from the function."""
    return ", ".join(f"${number}" for number in range(1, count + 1))


_place: Final = attrgetter("place")
_TAKE: Final = f"SELECT * FROM livingworld.take_turns_v1({_parameters(17)})"  # noqa: S608
_TAKE_ONE: Final = f"SELECT * FROM livingworld.take_turn_v1({_parameters(17)})"  # noqa: S608
_COMMIT: Final = f"SELECT * FROM livingworld.commit_turns_v1({_parameters(17)})"  # noqa: S608
_COMMIT_ONE: Final = f"SELECT * FROM livingworld.commit_turn_v1({_parameters(17)})"  # noqa: S608
_PUBLISH: Final = "SELECT unnest(livingworld.publish_turn_v1($1, $2, $3, $4, $5, $6, $7))"
_CHOOSE: Final = f"SELECT * FROM livingworld.choose_generation_v1({_parameters(7)})"  # noqa: S608
_MERGE: Final = f"SELECT * FROM livingworld.merge_turn_v1({_parameters(13)})"  # noqa: S608


def _call(requests: Sequence[TakeRequest | CommitRequest], one: str, several: str) -> tuple[str, tuple[Any, ...]]:
    """Return the statement for so many requests, and the values that it takes: a lone request brings no arrays.

    An array that would hold nothing but NULLs is NULL itself: asyncpg looks at each element twice.
    """
    if len(requests) == 1:
        return one, requests[0].values()
    columns = zip(*(request.values() for request in requests), strict=True)
    return several, tuple(None if column.count(None) == len(column) else column for column in columns)


async def take_turns(
    tx: Transaction, requests: Sequence[TakeRequest], *, wait: bool, lease: timedelta, patience: timedelta
) -> list[TakeOutcome | NotTried]:
    """Take turns by one statement and return one outcome for each, in order; see take_turns_v1.sql.

    A holding ends after `lease` unless it is renewed, and a place in the queue after `patience` without a new look.
    """
    sql, values = _call(requests, _TAKE_ONE, _TAKE)
    rows = [*(await tx.execute_text(sql, (tx.world_id, wait, lease, patience, *values)))]
    rows.sort(key=_place)
    outcomes = [make_take_outcome(row, request) for row, request in zip(rows, requests, strict=True)]
    for row, request, outcome in zip(rows, requests, outcomes, strict=True):
        replaces = request.busy == "replace" or request.replace_own
        if replaces and isinstance(outcome, Granted) and row.request_key is not None:
            tx.notify_after_commit(end_topic(request.story_id, row.request_key))
        if row.next_key is not None:
            tx.notify_after_commit(turn_topic(request.story_id, row.next_key))
    return outcomes


async def commit_turns(
    tx: Transaction, requests: Sequence[CommitRequest], *, wait: bool, publish: bool = True
) -> list[CommitOutcome | NotTried]:
    """Commit turns by one statement and return one outcome for each, in order; see commit_turns_v1.sql."""
    sql, values = _call(requests, _COMMIT_ONE, _COMMIT)
    rows = (await tx.execute_text(sql, (tx.world_id, wait, publish, *values))).all()
    if len(rows) != len(requests):
        message = f"commit_turns_v1 answered {len(rows)} of {len(requests)} requests"
        raise AssertionError(message)
    tx.leave_work()  # as in appending.py
    for stream_id in chain.from_iterable(row.streams or () for row in rows):
        note_published(tx, stream_id)
    return [make_commit_outcome(row, request) for row, request in zip(rows, requests, strict=True)]


async def commit_turn(tx: Transaction, request: CommitRequest) -> CommitOutcome:
    """Commit one turn, waiting for its story where it is held."""
    tx.locks(LockKind.STORY, tx.world_id, request.story_id)
    (outcome,) = await commit_turns(tx, [request], wait=True)
    assert not isinstance(outcome, NotTried)  # noqa: S101 - it waits, and is alone in its statement
    return outcome


async def commit_joined(tx: Transaction, request: CommitRequest) -> CommitOutcome:
    """Commit one turn as part of a transaction that goes on; locks the story until it ends."""
    tx.locks(LockKind.STORY, tx.world_id, request.story_id)
    (outcome,) = await commit_turns(tx, [request], wait=True, publish=False)
    assert not isinstance(outcome, NotTried)  # noqa: S101 - it waits, and is alone in its statement
    tx.lock_order.hold(LockKind.STORY, row_order_key({"world_id": tx.world_id, "story_id": request.story_id}))
    if isinstance(outcome, Committed):
        tx.store_at_commit(_publish, (request, "committed", outcome.scene.number, outcome.branch_number))
    elif isinstance(outcome, AlreadyStored) and not outcome.replayed:
        tx.store_at_commit(_publish, (request, "regenerated", outcome.scene_number, outcome.branch_number))
    return outcome


async def _publish(tx: Transaction, committed: list[tuple[CommitRequest, str, int, int]]) -> None:
    """Publish committed turns, as their statement does where it is alone; see publish_turn_v1.sql."""
    tx.lock_order.hold(LockKind.STREAM, tx.world_id)
    for request, status, scene_number, branch_number in committed:
        cast = canonical_json(request.cast) if request.cast else None
        values = (request.story_id, status, scene_number, branch_number, request.holding.owner, cast)
        for (stream_id,) in await tx.execute_text(_PUBLISH, (tx.world_id, *values)):
            note_published(tx, stream_id)


async def choose_generation(tx: Transaction, request: ChooseRequest) -> Chosen:
    """Make a generation the scene at its place; raises what refuses it. Locks the story."""
    story_id = request.story_id
    tx.locks(LockKind.STORY, tx.world_id, story_id)
    key = row_order_key({"world_id": tx.world_id, "story_id": story_id})
    place = (request.branch_number, request.branch_name, request.expected_head)
    async with in_order(tx, LockKind.STORY, key):
        values = (tx.world_id, story_id, request.generation_id, *place, request.spare_id)
        outcome = make_choose_outcome((await tx.execute_text(_CHOOSE, values)).one(), request)
    if isinstance(outcome, Refusal):
        raise outcome.error
    tx.lock_order.hold(LockKind.STORY, key)
    ids = {"scene_number": outcome.scene_number, "branch_number": outcome.branch_number}
    tx.log_after_commit(events.GENERATION_CHOSEN, world_id=tx.world_id, story_id=story_id, **ids)
    if not outcome.was_shown:
        tx.leave_work()
        publish_at_commit(tx, story_id, LiveKind.GENERATION_CHOSEN, **ids, generation_id=request.generation_id)
    if outcome.holder_key is not None:
        tx.notify_after_commit(end_topic(story_id, outcome.holder_key))
    if outcome.next_key is not None:
        tx.notify_after_commit(turn_topic(story_id, outcome.next_key))
    return outcome


async def merge_inputs(tx: Transaction, request: TakeRequest, leader: Mergeable, both: TurnInput) -> bool:
    """Give the turn that waits the combined input, and record that this one is a part of it. Locks the story.

    False when the waiting turn has changed since the look; the next look returns what it is now. See merge_turn_v1.sql.
    """
    place = (request.story_id, leader.branch_number, leader.ticket, leader.merges)
    came = (request.request_key, request.request_hash(), request.owner, *astuple(request.input))
    row = await tx.execute_text(_MERGE, (tx.world_id, *place, both.choice, both.instruction, *came))
    merged: bool = row.scalar_one()
    return merged
