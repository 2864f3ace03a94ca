"""Erasing the sessions of a person, and where she is present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, func, or_, select

from livingworld.coordination.sessions.locking import change_session
from livingworld.coordination.sessions.tables import interactions, sessions, tasks
from livingworld.coordination.sessions.task_writing import cancel_all
from livingworld.erasure.records import Counts
from livingworld.live.log import remove_streams
from livingworld.live.tables import live_events, presences, present_players
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

#: Rows of one transaction.
_BATCH: Final = 500


async def sessions_of(tx: Transaction, player: str) -> Sequence[UUID]:
    """Return the sessions that name a person as their player or their key, in the order of their locks."""
    hers = or_(sessions.c.player == player, sessions.c.key == player)
    found = select(sessions.c.session_id).where(sessions.c.world_id == tx.world_id, hers)
    return sorted(UUID(int=row[0].int) for row in await tx.execute(found))


async def erase_interactions(tx: Transaction, session_id: UUID) -> Counts:
    """Close a session and remove some of its interactions; nothing is left when it counts 0. Locks the session."""
    row = await _locked(tx, session_id)
    if row is None:
        return {}
    if row.closed_at is None:
        await cancel_all(tx, session_id, "the session was erased")
        await change_session(tx, row, {"closed_at": func.now()})
    of_session = _of(interactions, tx, session_id)
    number = interactions.c.interaction_number
    oldest = select(number).where(*of_session).order_by(number).limit(_BATCH)
    return {"interactions": (await tx.execute(delete(interactions).where(*of_session, number.in_(oldest)))).rowcount}


async def erase_session(tx: Transaction, session_id: UUID) -> Counts:
    """Remove a session with its tasks, its events and who is present in it. Locks the session."""
    if await _locked(tx, session_id) is None:
        return {}
    counts = {"sessions": 1, "tasks": (await tx.execute(delete(tasks).where(*_of(tasks, tx, session_id)))).rowcount}
    happened = (live_events.c.world_id == tx.world_id, live_events.c.stream_id == session_id)
    counts["live_events"] = await tx.scalar(select(func.count()).select_from(live_events).where(*happened)) or 0
    await tx.execute(delete(sessions).where(*_of(sessions, tx, session_id)))
    await remove_streams(tx, [session_id])
    return counts


async def erase_presence(tx: Transaction, player: str) -> Counts:
    """Remove a person from some places where she is present, without a word to the others there.

    Nothing is left to do when it returns 0. Locks her rows, in the order of the places.
    """
    columns = present_players.c
    hers = (columns.world_id == tx.world_id, columns.player == player)
    places = select(columns.stream_id).where(*hers).order_by(columns.stream_id).limit(_BATCH)
    found = [row.stream_id for row in await tx.execute(places.with_for_update(key_share=True))]
    counts = {}
    for table in (presences, present_players):
        there = (table.c.world_id == tx.world_id, table.c.player == player, table.c.stream_id.in_(found))
        counts[table.name] = (await tx.execute(delete(table).where(*there))).rowcount
    return counts


async def _locked(tx: Transaction, session_id: UUID) -> Any:  # noqa: ANN401 - a row, or None
    return await lock_row(tx, LockKind.SESSION, sessions, {"world_id": tx.world_id, "session_id": session_id})


def _of(table: Table, tx: Transaction, session_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (table.c.world_id == tx.world_id, table.c.session_id == session_id)
