"""From rows to records."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.coordination.sessions.records import Interaction, Session, Task
from livingworld.read_only import read_only


def make_session(row: Row[Any]) -> Session:
    """Return the record that a row of `sessions` makes."""
    return Session(
        id=UUID(int=row.session_id.int),
        key=row.key,
        player=row.player,
        context=read_only(row.context),
        context_version=row.context_version,
        epoch=row.epoch,
        last_interaction_number=row.last_interaction_number,
        heartbeat_at=row.heartbeat_at,
        closed_at=row.closed_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def make_interaction(row: Row[Any]) -> Interaction:
    """Return the record that a row of `interactions` makes."""
    return Interaction(
        session_id=UUID(int=row.session_id.int),
        number=row.interaction_number,
        request=row.request,
        response=row.response,
        metadata=read_only(row.metadata),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def make_task(row: Row[Any]) -> Task:
    """Return the record that a row of `tasks` makes."""
    return Task(
        id=UUID(int=row.task_id.int),
        session_id=UUID(int=row.session_id.int),
        kind=row.kind,
        epoch=row.epoch,
        state=row.state,
        token=row.token,
        payload=read_only(row.payload),
        progress=read_only(row.progress),
        result=read_only(row.result),
        error=row.error,
        dead_after=row.dead_after,
        when_owner_dies=row.when_owner_dies,
        heartbeat_at=row.heartbeat_at,
        cancel_requested_at=row.cancel_requested_at,
        cancel_reason=row.cancel_reason,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
