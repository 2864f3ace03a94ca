"""From rows to records."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.coordination.actions.records import Action
from livingworld.read_only import read_only


def make_action(row: Row[Any]) -> Action:
    """Return the record that a row of the table actions makes."""
    return Action(
        id=UUID(int=row.action_id.int),
        lane=row.lane,
        number=row.number,
        kind=row.kind,
        payload=read_only(row.payload),
        priority=row.priority,
        not_before=row.not_before,
        deadline=row.deadline,
        state=row.state,
        decision=row.decision,
        decided_by=tuple(UUID(int=each.int) for each in row.decided_by),
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        token=row.token,
        claimed_until=row.claimed_until,
        cancel_requested_at=row.cancel_requested_at,
        cancel_reason=row.cancel_reason,
        result=read_only(row.result),
        errors=tuple(each["error"] for each in row.errors),
        started_numbers=tuple(row.started_numbers),
        stopped_numbers=tuple(row.stopped_numbers),
        ended_number=row.ended_number,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
