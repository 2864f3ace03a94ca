"""Interactions: the exchanges of a session, numbered under its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from livingworld.coordination.sessions.locking import began, change_session, lock_open_session, session_id_of
from livingworld.coordination.sessions.records import Interaction, Session
from livingworld.coordination.sessions.rows import make_interaction
from livingworld.coordination.sessions.tables import interactions, sessions
from livingworld.deadlines import one_call
from livingworld.errors import InteractionNotFound, InvalidInput, VersionConflict
from livingworld.inputs import (
    MAX_CONTENT_CHARACTERS,
    MAX_INTEGER,
    UNCHANGED,
    Unchanged,
    check_changes,
    check_integer,
    check_json_object,
    check_optional_text,
    check_text,
    check_uuid,
)
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.compiled_text import select_row
from livingworld.postgres.idempotency import CreateRequest, create_once
from livingworld.postgres.keyset import Page, check_limit, number_cursor, page_by
from livingworld.postgres.removal import remove_old
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

_CHECKS: Final[Mapping[str, Callable[[str, Any], object]]] = {
    "request": partial(check_text, limit=MAX_CONTENT_CHARACTERS),
    "response": partial(check_optional_text, limit=MAX_CONTENT_CHARACTERS),
    "metadata": check_json_object,
}


class InteractionRepository:
    """The interactions of the sessions of one world.

    Every write locks the session's row until the transaction ends and raises SessionNotFound, SessionClosed, and
    SessionCleared when the session was cleared since the write began: since the record was read that stands for the
    session, since `epoch`, or, for an id alone, since the call was made.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def add(
        self,
        session: UUID | Session,
        request: str,
        response: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        epoch: int | None = None,
        request_key: str | None = None,
    ) -> Interaction:
        """Store an exchange under the session's next number and return it; numbers have no gap and no duplicate.

        With a `request_key` a repetition returns the exchange as it is now, whatever the epoch, or raises
        InteractionNotFound when it was cleared; other arguments under the same key are RequestKeyReused.
        """
        values = check_changes(
            _CHECKS, {"request": request, "response": response, "metadata": {} if metadata is None else metadata}
        )
        arguments = [str(session_id_of(session)), values]
        once = CreateRequest.of(request_key, LockKind.SESSION, "interactions.add", arguments)
        with one_call(self._unit.call_timeout):
            key, since = await began(self._unit, session, epoch)
            if once is None:
                return await self._unit.write(_add, key, since, values)
            return await self._unit.write_idempotent(_add_once, key, since, values, once)

    async def update(
        self,
        session: UUID | Session,
        number: int,
        *,
        request: str | Unchanged = UNCHANGED,
        response: str | Unchanged | None = UNCHANGED,
        metadata: Mapping[str, Any] | Unchanged = UNCHANGED,
        expected_version: int | None = None,
        epoch: int | None = None,
    ) -> Interaction:
        """Change what is given of an exchange and return it; None takes the response away.

        Raises InteractionNotFound, also after a clear, and VersionConflict when `expected_version` is given and is not
        the stored one.
        """
        check_integer("number", number, minimum=1)
        values = check_changes(_CHECKS, {"request": request, "response": response, "metadata": metadata})
        if not values:
            raise InvalidInput("response", "or another field must be given: there is nothing to change")
        if expected_version is not None:
            check_integer("expected_version", expected_version, minimum=1)
        with one_call(self._unit.call_timeout):
            key, since = await began(self._unit, session, epoch)
            return await self._unit.write(_update, key, since, number, expected_version, values)

    async def get(self, session_id: UUID, number: int) -> Interaction:
        """Return an interaction; one round trip, no lock. Raises InteractionNotFound, also after a clear."""
        key = check_uuid("session_id", session_id)
        return await self._unit.read(_get, key, check_integer("number", number, minimum=1))

    async def list(self, session_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[Interaction]:
        """Return a page of interactions, oldest first; empty when there is none, or no such session. One round trip."""
        key, place = check_uuid("session_id", session_id), 0 if after is None else number_cursor(after)
        found = await self._unit.read(_after, key, place, check_limit(limit) + 1)
        return page_by(found, limit, lambda interaction: interaction.number)

    async def recent(self, session_id: UUID, limit: int = 20, *, before: int | None = None) -> tuple[Interaction, ...]:
        """Return the last interactions, or the last before a number, oldest first; one round trip.

        Empty also when there is no such session.
        """
        place = MAX_INTEGER if before is None else check_integer("before", before, minimum=1)
        return await self._unit.read(_recent, check_uuid("session_id", session_id), place, check_limit(limit))

    async def clear(self, session: UUID | Session, *, epoch: int | None = None) -> int:
        """Remove all interactions of a session and return how many there were; the numbers go on."""
        with one_call(self._unit.call_timeout):
            key, since = await began(self._unit, session, epoch)
            return await self._unit.write(_clear, key, since)


async def remove_old_interactions(tx: Transaction, age: timedelta, limit: int) -> int:
    """Remove at most `limit` exchanges that were stored so long ago, and return how many; the numbers go on."""
    return await remove_old(tx, interactions, interactions.c.created_at, age, limit)


async def _add(tx: Transaction, session_id: UUID, epoch: int, values: Mapping[str, Any]) -> Interaction:
    old = await lock_open_session(tx, session_id, epoch)
    raised = {"last_interaction_number": sessions.c.last_interaction_number + 1, "heartbeat_at": func.now()}
    number = (await change_session(tx, old, raised)).last_interaction_number
    key = {"world_id": tx.world_id, "session_id": session_id, "interaction_number": number}
    publish_at_commit(tx, session_id, LiveKind.INTERACTION_ADDED, interaction_number=number)
    row = await tx.execute(insert(interactions).values(**key, **values).returning(interactions))
    return make_interaction(row.one())


async def _add_once(
    tx: Transaction, session_id: UUID, epoch: int, values: Mapping[str, Any], request: CreateRequest
) -> Interaction:
    add, read = partial(_add, tx, session_id, epoch, values), partial(_get, tx, session_id)
    return await create_once(tx, request, add, read, lambda interaction: interaction.number)


async def _update(
    tx: Transaction, session_id: UUID, epoch: int, number: int, expected: int | None, values: Mapping[str, Any]
) -> Interaction:
    await lock_open_session(tx, session_id, epoch)
    this = (*_of(tx, session_id), interactions.c.interaction_number == number)
    actual = await tx.scalar(select(interactions.c.version).where(*this))
    if actual is None:
        raise InteractionNotFound(session_id=session_id, number=number)
    if expected is not None and actual != expected:
        raise VersionConflict(expected=expected, actual=actual)
    new = {**values, "version": interactions.c.version + 1, "updated_at": func.now()}
    row = (await tx.execute(update(interactions).where(*this).values(**new).returning(interactions))).one_or_none()
    if row is None:  # it was old, and removed meanwhile
        raise InteractionNotFound(session_id=session_id, number=number)
    changed = make_interaction(row)
    details = {"interaction_number": number, "version": changed.version}
    publish_at_commit(tx, session_id, LiveKind.INTERACTION_CHANGED, **details)
    return changed


async def _get(tx: Transaction, session_id: UUID, number: int) -> Interaction:
    asked = select_row(interactions).bind(world_id=tx.world_id, session_id=session_id, interaction_number=number)
    row = (await tx.execute_text(*asked)).one_or_none()
    if row is None:
        raise InteractionNotFound(session_id=session_id, number=number)
    return make_interaction(row)


async def _after(tx: Transaction, session_id: UUID, after: int, limit: int) -> Sequence[Interaction]:
    number = interactions.c.interaction_number
    statement = select(interactions).where(*_of(tx, session_id), number > after).order_by(number).limit(limit)
    return [make_interaction(row) for row in await tx.execute(statement)]


async def _recent(tx: Transaction, session_id: UUID, before: int, limit: int) -> tuple[Interaction, ...]:
    number = interactions.c.interaction_number
    statement = select(interactions).where(*_of(tx, session_id), number < before).order_by(number.desc()).limit(limit)
    return tuple(make_interaction(row) for row in reversed((await tx.execute(statement)).all()))


async def _clear(tx: Transaction, session_id: UUID, epoch: int) -> int:
    await lock_open_session(tx, session_id, epoch)
    removed = (await tx.execute(delete(interactions).where(*_of(tx, session_id)))).rowcount
    if removed:
        publish_at_commit(tx, session_id, LiveKind.INTERACTIONS_CLEARED)
    return removed


def _of(tx: Transaction, session_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (interactions.c.world_id == tx.world_id, interactions.c.session_id == session_id)
