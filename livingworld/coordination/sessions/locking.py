"""The row of a session, under which everything of the session is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, update

from livingworld.coordination.sessions.records import Session
from livingworld.coordination.sessions.rows import make_session
from livingworld.coordination.sessions.tables import sessions
from livingworld.errors import SessionCleared, SessionClosed, SessionNotFound
from livingworld.inputs import check_integer, check_uuid
from livingworld.postgres.compiled_text import select_row
from livingworld.postgres.locks import lock_free_rows, lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit


async def began(unit: WorldUnit, session: object, epoch: object) -> tuple[UUID, int]:
    """Return the id of the session that a write names, and the epoch in which the write begins.

    That is the given epoch, or the one of the record that stands for the session, or else the one of this moment, read
    before the write waits for any lock; raises SessionNotFound.
    """
    key = session_id_of(session)
    if isinstance(session, Session) and epoch is None:
        return key, check_epoch(session.epoch)
    if epoch is not None:
        return key, check_epoch(epoch)
    return key, (await unit.read(find_session, key)).epoch


def session_id_of(session: object) -> UUID:
    """Return the id of the session that a write names by its id or its record."""
    return check_uuid("session", session.id if isinstance(session, Session) else session)


def check_epoch(epoch: object) -> int:
    """Return the epoch if it can be one."""
    return check_integer("epoch", epoch, minimum=1)


async def find_session(tx: Transaction, session_id: UUID) -> Session:
    """Return a session, closed or not, without a lock; raises SessionNotFound. One statement."""
    asked = select_row(sessions).bind(world_id=tx.world_id, session_id=session_id)
    row = (await tx.execute_text(*asked)).one_or_none()
    if row is None:
        raise SessionNotFound(session_id=session_id)
    return make_session(row)


async def lock_session(tx: Transaction, session_id: UUID) -> Row[Any]:
    """Lock a session against other writers until the transaction ends; raises SessionNotFound."""
    row = await lock_row(tx, LockKind.SESSION, sessions, {"world_id": tx.world_id, "session_id": session_id})
    if row is None:
        raise SessionNotFound(session_id=session_id)
    return row


async def lock_free_sessions(tx: Transaction, session_ids: Sequence[UUID]) -> list[UUID]:
    """Lock those of these sessions that exist and that nobody holds, and return their ids; waits for nobody."""
    return await lock_free_rows(tx, LockKind.SESSION, sessions.c.session_id, session_ids)


async def lock_open_session(tx: Transaction, session_id: UUID, epoch: int | None = None) -> Row[Any]:
    """Lock a session that takes writes; also raises SessionClosed, and SessionCleared when it is past the epoch."""
    row = await lock_session(tx, session_id)
    if row.closed_at is not None:
        raise SessionClosed(session_id=session_id)
    if epoch is not None and row.epoch != epoch:
        raise SessionCleared(expected=epoch, actual=row.epoch)
    return row


async def change_session(tx: Transaction, old: Row[Any], values: Mapping[str, Any]) -> Session:
    """Change columns of a session that is locked, and return it."""
    statement = (
        update(sessions)
        .where(sessions.c.world_id == tx.world_id, sessions.c.session_id == old.session_id)
        .values(**values, updated_at=func.now())
        .returning(sessions)
    )
    return make_session((await tx.execute(statement)).one())
