"""Interactions: the exchanges of a session, numbered under its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from livingworld.coordination.sessions.locking import change_session, check_epoch, lock_open_session
from livingworld.coordination.sessions.records import Interaction
from livingworld.coordination.sessions.rows import make_interaction
from livingworld.coordination.sessions.tables import interactions, sessions
from livingworld.errors import InteractionNotFound, InvalidInput, VersionConflict
from livingworld.inputs import MAX_CONTENT_CHARACTERS, check_integer, check_json_object, check_text, check_uuid
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.keyset import check_limit
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit


class InteractionRepository:
    """The interactions of the sessions of one world.

    Every write locks the session's row until the transaction ends and raises SessionNotFound, SessionClosed, and with
    an `epoch` SessionCleared when the session was cleared since.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def add(
        self,
        session_id: UUID,
        request: str,
        response: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        epoch: int | None = None,
    ) -> Interaction:
        """Store an exchange under the session's next number and return it; numbers have no gap and no duplicate."""
        key = check_uuid("session_id", session_id)
        check_text("request", request, limit=MAX_CONTENT_CHARACTERS)
        values = _checked(request, response, {} if metadata is None else metadata)
        return await self._unit.write(_add, key, check_epoch(epoch), values)

    async def update(
        self,
        session_id: UUID,
        number: int,
        *,
        request: str | None = None,
        response: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
        epoch: int | None = None,
    ) -> Interaction:
        """Change what is given of an exchange and return it; None leaves a field as it is.

        Raises InteractionNotFound, also after a clear, and VersionConflict when `expected_version` is given and is not
        the stored one.
        """
        key = check_uuid("session_id", session_id)
        check_integer("number", number, minimum=1)
        values = _checked(request, response, metadata)
        if not values:
            raise InvalidInput("response", "or another field must be given: there is nothing to change")
        if expected_version is not None:
            check_integer("expected_version", expected_version, minimum=1)
        return await self._unit.write(_update, key, check_epoch(epoch), number, expected_version, values)

    async def recent(self, session_id: UUID, limit: int = 20) -> tuple[Interaction, ...]:
        """Return the last interactions, oldest first; empty also when there is no such session. One round trip."""
        return await self._unit.read(_recent, check_uuid("session_id", session_id), check_limit(limit))

    async def clear(self, session_id: UUID, *, epoch: int | None = None) -> int:
        """Remove all interactions of a session and return how many there were; the numbers go on."""
        return await self._unit.write(_clear, check_uuid("session_id", session_id), check_epoch(epoch))


async def _add(tx: Transaction, session_id: UUID, epoch: int | None, values: Mapping[str, Any]) -> Interaction:
    old = await lock_open_session(tx, session_id, epoch)
    raised = {"last_interaction_number": sessions.c.last_interaction_number + 1, "heartbeat_at": func.now()}
    number = (await change_session(tx, old, raised)).last_interaction_number
    key = {"world_id": tx.world_id, "session_id": session_id, "interaction_number": number}
    publish_at_commit(tx, session_id, LiveKind.INTERACTION_ADDED, interaction_number=number)
    row = await tx.execute(insert(interactions).values(**key, **values).returning(interactions))
    return make_interaction(row.one())


async def _update(
    tx: Transaction, session_id: UUID, epoch: int | None, number: int, expected: int | None, values: Mapping[str, Any]
) -> Interaction:
    await lock_open_session(tx, session_id, epoch)
    this = (*_of(tx, session_id), interactions.c.interaction_number == number)
    actual = await tx.scalar(select(interactions.c.version).where(*this))
    if actual is None:
        raise InteractionNotFound(session_id=session_id, number=number)
    if expected is not None and actual != expected:
        raise VersionConflict(expected=expected, actual=actual)
    new = {**values, "version": interactions.c.version + 1, "updated_at": func.now()}
    row = await tx.execute(update(interactions).where(*this).values(**new).returning(interactions))
    changed = make_interaction(row.one())
    details = {"interaction_number": number, "version": changed.version}
    publish_at_commit(tx, session_id, LiveKind.INTERACTION_CHANGED, **details)
    return changed


async def _recent(tx: Transaction, session_id: UUID, limit: int) -> tuple[Interaction, ...]:
    number = interactions.c.interaction_number
    statement = select(interactions).where(*_of(tx, session_id)).order_by(number.desc()).limit(limit)
    return tuple(make_interaction(row) for row in reversed((await tx.execute(statement)).all()))


async def _clear(tx: Transaction, session_id: UUID, epoch: int | None) -> int:
    await lock_open_session(tx, session_id, epoch)
    removed = (await tx.execute(delete(interactions).where(*_of(tx, session_id)))).rowcount
    if removed:
        publish_at_commit(tx, session_id, LiveKind.INTERACTIONS_CLEARED)
    return removed


def _of(tx: Transaction, session_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (interactions.c.world_id == tx.world_id, interactions.c.session_id == session_id)


def _checked(request: str | None, response: str | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns that are given."""
    texts = {"request": request, "response": response}
    values: dict[str, Any] = {
        name: check_text(name, text, limit=MAX_CONTENT_CHARACTERS) for name, text in texts.items() if text is not None
    }
    if metadata is not None:
        values["metadata"] = check_json_object("metadata", metadata)
    return values
