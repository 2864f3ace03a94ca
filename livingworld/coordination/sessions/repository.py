"""Sessions: opened, kept alive, with a context that writers share, cleared in one step, and removed when left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from livingworld.coordination.sessions.locking import change_session, check_epoch, lock_open_session, lock_session
from livingworld.coordination.sessions.records import Session, make_session
from livingworld.coordination.sessions.tables import interactions, sessions
from livingworld.coordination.sessions.task_endings import cancel_all
from livingworld.errors import InvalidJson, SessionNotFound, VersionConflict
from livingworld.identifiers import new_id
from livingworld.inputs import (
    MAX_JSON_CHARACTERS,
    canonical_json,
    check_duration,
    check_integer,
    check_json_object,
    check_optional_label,
    check_uuid,
)
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit, remove_streams
from livingworld.observability import events
from livingworld.postgres.keyset import check_limit
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork


class SessionRepository:
    """The sessions of one world.

    Every write locks the session's row until the transaction ends and raises SessionNotFound, and SessionClosed where
    the session is closed. With an `epoch` it raises SessionCleared when the session was cleared since.
    """

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def open(self, *, player: str | None = None, context: Mapping[str, Any] | None = None) -> Session:
        """Store a new session and return it; raises WorldNotFound."""
        values = {
            "player": check_optional_label("player", player),
            "context": check_json_object("context", {} if context is None else context),
        }
        key = {"world_id": self._world_id, "session_id": UUID(int=new_id().int)}

        async def work(tx: Transaction) -> Session:
            statement = insert(sessions).values(**key, **values).on_conflict_do_nothing(index_elements=list(key))
            row = (await tx.execute(statement.returning(sessions))).one_or_none()
            return await _read(self._world_id, key["session_id"], tx) if row is None else make_session(row)

        return await self._unit.run(work, repeatable=True)

    async def get(self, session_id: UUID) -> Session:
        """Return a session, closed or not; one round trip, no lock. Raises SessionNotFound."""
        key = check_uuid("session_id", session_id)
        return await self._unit.run(partial(_read, self._world_id, key), repeatable=True, single_statement=True)

    async def heartbeat(self, session_id: UUID) -> Session:
        """Say that the session is in use: `expire` counts from here."""
        return await self._change(session_id, None, lambda _: {"heartbeat_at": func.now()}, repeatable=True)

    async def set_context(
        self, session_id: UUID, context: Mapping[str, Any], *, expected_version: int, epoch: int | None = None
    ) -> Session:
        """Replace the context if it is still at `expected_version`, else raise VersionConflict."""
        new = check_json_object("context", context)
        expected = check_integer("expected_version", expected_version, minimum=1)

        def change(old: Row[Any]) -> dict[str, Any]:
            if old.context_version != expected:
                raise VersionConflict(expected=expected, actual=old.context_version)
            return _context(new)

        return await self._change(session_id, epoch, change)

    async def merge_context(self, session_id: UUID, changes: Mapping[str, Any], *, epoch: int | None = None) -> Session:
        """Set top-level keys of the context and leave the others as they are, whoever sets them meanwhile.

        Raises InvalidJson when the whole would be too large.
        """
        new = check_json_object("changes", changes)

        def change(old: Row[Any]) -> dict[str, Any]:
            size = len(canonical_json(old.context | new))
            if size > MAX_JSON_CHARACTERS:
                raise InvalidJson("changes", f"make {size} characters of context; the limit is {MAX_JSON_CHARACTERS}")
            return _context(sessions.c.context.op("||")(new))

        return await self._change(session_id, epoch, change)

    async def clear(self, session_id: UUID) -> Session:
        """Empty the session in one step and return it: what runs is cancelled, interactions and context are gone.

        The epoch rises, so whatever names a lower one is refused from then on. The numbers of interactions go on.
        """
        key = check_uuid("session_id", session_id)

        async def work(tx: Transaction) -> Session:
            old = await lock_open_session(tx, self._world_id, key)
            ended = await cancel_all(tx, self._world_id, key, "the session was cleared")
            await tx.execute(
                delete(interactions).where(interactions.c.world_id == self._world_id, interactions.c.session_id == key)
            )
            row = await change_session(tx, old, {**_context({}), "epoch": sessions.c.epoch + 1})
            ids = {"world_id": self._world_id, "session_id": key}
            tx.log_after_commit(events.SESSION_CLEARED, **ids, epoch=row.epoch, tasks=ended)
            publish_at_commit(tx, key, LiveKind.SESSION_CLEARED, epoch=row.epoch)
            return make_session(row)

        return await self._unit.run(work)

    async def close(self, session_id: UUID) -> Session:
        """End the session and return it: what runs is cancelled, and it takes no more writes; again changes nothing."""
        key = check_uuid("session_id", session_id)

        async def work(tx: Transaction) -> Session:
            old = await lock_session(tx, self._world_id, key)
            if old.closed_at is not None:
                return make_session(old)
            await cancel_all(tx, self._world_id, key, "the session was closed")
            publish_at_commit(tx, key, LiveKind.SESSION_CLOSED)
            return make_session(await change_session(tx, old, {"closed_at": func.now()}))

        return await self._unit.run(work, repeatable=True)

    async def expire(self, older_than: timedelta, *, limit: int = 100) -> tuple[UUID, ...]:
        """Remove sessions, open or closed, that had no heartbeat for so long, with all in them; return their ids.

        At most `limit` of them, the oldest first; locks each in order of its id. One that is renewed while this waits
        for it stays.
        """
        age = check_duration("older_than", older_than)
        check_limit(limit)
        expired = await self._unit.run(partial(_expire, self._world_id, age, limit), repeatable=True)
        return tuple(expired)

    async def _change(
        self,
        session_id: UUID,
        epoch: int | None,
        change: Callable[[Row[Any]], dict[str, Any]],
        *,
        repeatable: bool = False,
    ) -> Session:
        key = check_uuid("session_id", session_id)
        check_epoch(epoch)

        async def work(tx: Transaction) -> Session:
            old = await lock_open_session(tx, self._world_id, key, epoch)
            session = make_session(await change_session(tx, old, change(old)))
            if session.context_version != old.context_version:
                told = {"context_version": session.context_version}
                publish_at_commit(tx, key, LiveKind.CONTEXT_CHANGED, **told)
            return session

        return await self._unit.run(work, repeatable=repeatable)


async def _read(world_id: UUID, session_id: UUID, tx: Transaction) -> Session:
    statement = select(sessions).where(sessions.c.world_id == world_id, sessions.c.session_id == session_id)
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise SessionNotFound(session_id=session_id)
    return make_session(row)


def _context(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON object or SQL that makes one
    return {"context": value, "context_version": sessions.c.context_version + 1}


async def _expire(world_id: UUID, age: timedelta, limit: int, tx: Transaction) -> list[UUID]:
    """Find without a lock, lock in order, and judge again: who was renewed meanwhile is none of them any more."""
    own, stale = sessions.c.world_id == world_id, sessions.c.heartbeat_at < func.now() - age
    oldest = select(sessions.c.session_id).where(own, stale).order_by(sessions.c.heartbeat_at).limit(limit)
    found = sorted(row.session_id for row in await tx.execute(oldest))
    for session_id in found:
        await lock_row(tx, LockKind.SESSION, sessions, {"world_id": world_id, "session_id": session_id})
    if not found:
        return []
    gone = delete(sessions).where(own, sessions.c.session_id.in_(found), stale).returning(sessions.c.session_id)
    expired = [UUID(int=row.session_id.int) for row in await tx.execute(gone)]
    if expired:
        await remove_streams(tx, expired)
        tx.log_after_commit(events.SESSIONS_EXPIRED, world_id=world_id, sessions=len(expired))
    return expired
