"""Sessions: opened, kept alive, with a context that writers share, cleared in one step, and removed when idle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select

from livingworld.coordination.sessions import opening
from livingworld.coordination.sessions.locking import (
    began,
    change_session,
    find_session,
    lock_open_session,
    lock_session,
)
from livingworld.coordination.sessions.records import Session
from livingworld.coordination.sessions.rows import make_session
from livingworld.coordination.sessions.tables import interactions, sessions
from livingworld.coordination.sessions.task_writing import cancel_all
from livingworld.deadlines import one_call
from livingworld.errors import InvalidJson, VersionConflict
from livingworld.identifiers import new_id
from livingworld.inputs import (
    MAX_JSON_CHARACTERS,
    canonical_json,
    check_duration,
    check_integer,
    check_json_object,
    check_key,
    check_label,
    check_uuid,
)
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit, remove_streams
from livingworld.observability import events
from livingworld.postgres.idempotency import CreateRequest
from livingworld.postgres.keyset import NEWEST_ID, Page, check_limit, id_cursor, page_by
from livingworld.postgres.locks import lock_row
from livingworld.postgres.own_keys import get_or_create
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit


class SessionRepository:
    """The sessions of one world.

    Every write locks the session's row until the transaction ends and raises SessionNotFound, and SessionClosed where
    the session is closed. A write of the context raises SessionCleared when the session was cleared since the write
    began: since the record was read that stands for the session, since `epoch`, or, for an id alone, since the call was
    made.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def open(
        self, *, player: str | None = None, context: Mapping[str, Any] | None = None, request_key: str | None = None
    ) -> Session:
        """Store a new session and return it; raises WorldNotFound.

        With a `request_key` a repetition returns the session as it is now; other arguments under the same key are
        RequestKeyReused.
        """
        values = opening.new_session(player, context)
        request = CreateRequest.of(request_key, LockKind.SESSION, "sessions.open", values)
        return await self._unit.write_idempotent(opening.open_once, UUID(int=new_id().int), values, request)

    async def get_or_create(
        self, key: str, *, player: str | None = None, context: Mapping[str, Any] | None = None
    ) -> tuple[Session, bool]:
        """Return the session of a key of the application's own, open or closed, and whether this call made it.

        Keys are unique in the world: a chat channel, a save slot, an account. One round trip without a lock when the
        session exists; the other arguments are not used then. Otherwise locks the key until the transaction ends. The
        key is free again when the session has expired. Raises WorldNotFound.
        """
        own = check_key("key", key)
        make = partial(
            opening.make_with_key, session_id=UUID(int=new_id().int), values=opening.new_session(player, context)
        )
        return await get_or_create(self._unit, opening.find_by_key, make, own)

    async def find_by_key(self, key: str) -> Session | None:
        """Return the session of a key, open or closed, or None; one round trip, no lock."""
        return await self._unit.read(opening.find_by_key, check_key("key", key))

    async def list(self, *, player: str | None = None, after: str | None = None, limit: int = 50) -> Page[Session]:
        """Return a page of sessions, open and closed, newest first; of one player when given. Empty when there is none.

        One round trip; its cost does not depend on the place of the page.
        """
        of = None if player is None else check_label("player", player, empty=True)
        place = NEWEST_ID if after is None else id_cursor(after)
        found = await self._unit.read(opening.list_sessions, of, place, check_limit(limit) + 1)
        return page_by(found, limit, lambda session: session.id)

    async def get(self, session_id: UUID) -> Session:
        """Return a session, closed or not; one round trip, no lock. Raises SessionNotFound."""
        return await self._unit.read(find_session, check_uuid("session_id", session_id))

    async def heartbeat(self, session_id: UUID) -> Session:
        """Say that the session is in use: `expire` counts from here."""
        return await self._unit.write_idempotent(_heartbeat, check_uuid("session_id", session_id))

    async def set_context(
        self, session: UUID | Session, context: Mapping[str, Any], *, expected_version: int, epoch: int | None = None
    ) -> Session:
        """Replace the context if it is still at `expected_version`, else raise VersionConflict."""
        new = check_json_object("context", context)
        expected = check_integer("expected_version", expected_version, minimum=1)
        with one_call(self._unit.call_timeout):
            key, since = await began(self._unit, session, epoch)
            return await self._unit.write(_set_context, key, since, new, expected)

    async def merge_context(
        self, session: UUID | Session, changes: Mapping[str, Any], *, epoch: int | None = None
    ) -> Session:
        """Set top-level keys of the context and leave the others as they are, also when they are set meanwhile.

        Raises InvalidJson when the whole would be too large.
        """
        new = check_json_object("changes", changes)
        with one_call(self._unit.call_timeout):
            key, since = await began(self._unit, session, epoch)
            return await self._unit.write(_merge_context, key, since, new)

    async def clear(self, session_id: UUID) -> Session:
        """Empty the session in one step and return it: what runs is cancelled, interactions and context are gone.

        The epoch rises, so whatever names a lower one is refused from then on. The numbers of interactions go on.
        """
        return await self._unit.write(_clear, check_uuid("session_id", session_id))

    async def close(self, session_id: UUID) -> Session:
        """End the session and return it: what runs is cancelled, and it takes no more writes; again changes nothing."""
        return await self._unit.write_idempotent(_close, check_uuid("session_id", session_id))

    async def expire(self, older_than: timedelta, *, limit: int = 100) -> tuple[UUID, ...]:
        """Remove sessions, open or closed, that had no heartbeat for so long, with all in them; return their ids.

        At most `limit` of them, the oldest first; locks each in order of its id. One that is renewed while this waits
        for it stays.
        """
        age = check_duration("older_than", older_than)
        return await self._unit.write_idempotent(_expire, age, check_limit(limit))


async def _heartbeat(tx: Transaction, session_id: UUID) -> Session:
    return await change_session(tx, await lock_open_session(tx, session_id), {"heartbeat_at": func.now()})


async def _set_context(
    tx: Transaction, session_id: UUID, epoch: int, context: Mapping[str, Any], expected: int
) -> Session:
    old = await lock_open_session(tx, session_id, epoch)
    if old.context_version != expected:
        raise VersionConflict(expected=expected, actual=old.context_version)
    return await _change_context(tx, old, context)


async def _merge_context(tx: Transaction, session_id: UUID, epoch: int, changes: Mapping[str, Any]) -> Session:
    old = await lock_open_session(tx, session_id, epoch)
    size = len(canonical_json(old.context | changes))
    if size > MAX_JSON_CHARACTERS:
        raise InvalidJson("changes", f"make {size} characters of context; the limit is {MAX_JSON_CHARACTERS}")
    return await _change_context(tx, old, sessions.c.context.op("||")(changes))


async def _change_context(tx: Transaction, old: Row[Any], value: Any) -> Session:  # noqa: ANN401 - a JSON object, or SQL
    session = await change_session(tx, old, _context(value))
    publish_at_commit(tx, session.id, LiveKind.CONTEXT_CHANGED, context_version=session.context_version)
    return session


def _context(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON object or SQL that makes one
    return {"context": value, "context_version": sessions.c.context_version + 1}


async def _clear(tx: Transaction, session_id: UUID) -> Session:
    old = await lock_open_session(tx, session_id)
    ended = await cancel_all(tx, session_id, "the session was cleared")
    of_session = (interactions.c.world_id == tx.world_id, interactions.c.session_id == session_id)
    await tx.execute(delete(interactions).where(*of_session))
    session = await change_session(tx, old, {**_context({}), "epoch": sessions.c.epoch + 1})
    ids = {"world_id": tx.world_id, "session_id": session_id}
    tx.log_after_commit(events.SESSION_CLEARED, **ids, epoch=session.epoch, tasks=ended)
    publish_at_commit(tx, session_id, LiveKind.SESSION_CLEARED, epoch=session.epoch)
    return session


async def _close(tx: Transaction, session_id: UUID) -> Session:
    old = await lock_session(tx, session_id)
    if old.closed_at is not None:
        return make_session(old)
    await cancel_all(tx, session_id, "the session was closed")
    publish_at_commit(tx, session_id, LiveKind.SESSION_CLOSED)
    return await change_session(tx, old, {"closed_at": func.now()})


async def _expire(tx: Transaction, age: timedelta, limit: int) -> tuple[UUID, ...]:
    """Find without a lock, lock in order, and judge again: a session that was renewed meanwhile stays."""
    own, stale = sessions.c.world_id == tx.world_id, sessions.c.heartbeat_at < func.now() - age
    oldest = select(sessions.c.session_id).where(own, stale).order_by(sessions.c.heartbeat_at).limit(limit)
    found = sorted(row.session_id for row in await tx.execute(oldest))
    for session_id in found:
        await lock_row(tx, LockKind.SESSION, sessions, {"world_id": tx.world_id, "session_id": session_id})
    if not found:
        return ()
    gone = delete(sessions).where(own, sessions.c.session_id.in_(found), stale).returning(sessions.c.session_id)
    expired = tuple(UUID(int=row.session_id.int) for row in await tx.execute(gone))
    if expired:
        await remove_streams(tx, expired)
        tx.log_after_commit(events.SESSIONS_EXPIRED, world_id=tx.world_id, sessions=len(expired))
    return expired
