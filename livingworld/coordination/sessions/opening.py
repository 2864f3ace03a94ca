"""Opening sessions, and finding them by the application's own key or by player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from livingworld.coordination.sessions.locking import find_session
from livingworld.coordination.sessions.records import Session
from livingworld.coordination.sessions.rows import make_session
from livingworld.coordination.sessions.tables import sessions
from livingworld.inputs import check_json_object, check_optional_label
from livingworld.postgres.compiled_text import CompiledText
from livingworld.postgres.idempotency import CreateRequest, create_once
from livingworld.postgres.own_keys import insert_with_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

_BY_KEY: Final = CompiledText(
    select(sessions).where(sessions.c.world_id == bindparam("world_id"), sessions.c.key == bindparam("key"))
)


def new_session(player: str | None, context: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns of a new session; raises InvalidInput."""
    return {
        "player": check_optional_label("player", player),
        "context": check_json_object("context", {} if context is None else context),
    }


async def open_once(
    tx: Transaction, session_id: UUID, values: Mapping[str, Any], request: CreateRequest | None
) -> Session:
    """Store a session, once for each request key."""

    async def read(opened: str) -> Session:
        return await find_session(tx, UUID(opened))

    return await create_once(tx, request, partial(_open, tx, session_id, values), read, lambda session: str(session.id))


async def make_with_key(
    tx: Transaction, key: str, session_id: UUID, values: Mapping[str, Any]
) -> tuple[Session, bool] | None:
    """Make a session with a key, or return the one that has it; None: that one is gone again."""
    new = {"session_id": session_id, "key": key, **values}
    await insert_with_key(tx, LockKind.SESSION, sessions, new)
    found = await find_by_key(tx, key)
    return None if found is None else (found, found.id == session_id)


async def find_by_key(tx: Transaction, key: str) -> Session | None:
    """Return the session of a key, or None."""
    row = (await tx.execute_text(*_BY_KEY.bind(world_id=tx.world_id, key=key))).one_or_none()
    return None if row is None else make_session(row)


async def list_sessions(tx: Transaction, player: str | None, before: UUID, limit: int) -> Sequence[Session]:
    """Return sessions in the order of their ids, which are ordered by time; the primary key has that order."""
    columns = sessions.c
    statement = select(sessions).where(columns.world_id == tx.world_id, columns.session_id < before)
    if player is not None:
        statement = statement.where(columns.player == player)
    rows = await tx.execute(statement.order_by(columns.session_id.desc()).limit(limit))
    return [make_session(row) for row in rows]


async def _open(tx: Transaction, session_id: UUID, values: Mapping[str, Any]) -> Session:
    """Insert; the id is new, so an existing row is this one, stored by a try whose answer was lost."""
    key = {"world_id": tx.world_id, "session_id": session_id}
    statement = insert(sessions).values(**key, **values).on_conflict_do_nothing(index_elements=list(key))
    row = (await tx.execute(statement.returning(sessions))).one_or_none()
    return await find_session(tx, session_id) if row is None else make_session(row)
