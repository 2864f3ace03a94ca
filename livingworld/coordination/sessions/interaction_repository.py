"""Interactions: the exchanges of a session, numbered under its row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from livingworld.coordination.sessions.locking import change_session, check_epoch, lock_open_session
from livingworld.coordination.sessions.records import Interaction, make_interaction
from livingworld.coordination.sessions.tables import interactions, sessions
from livingworld.errors import InteractionNotFound, InvalidInput, VersionConflict
from livingworld.inputs import MAX_CONTENT_CHARACTERS, check_integer, check_json_object, check_text, check_uuid
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.postgres.keyset import check_limit
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork


class InteractionRepository:
    """The interactions of the sessions of one world.

    Every write locks the session's row until the transaction ends and raises SessionNotFound, SessionClosed, and with
    an `epoch` SessionCleared when the session was cleared since.
    """

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

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
        check_epoch(epoch)

        async def work(tx: Transaction) -> Interaction:
            old = await lock_open_session(tx, self._world_id, key, epoch)
            raised = {"last_interaction_number": sessions.c.last_interaction_number + 1, "heartbeat_at": func.now()}
            number = (await change_session(tx, old, raised)).last_interaction_number
            publish_at_commit(tx, key, LiveKind.INTERACTION_ADDED, interaction_number=number)
            statement = insert(interactions).values(
                world_id=self._world_id, session_id=key, interaction_number=number, **values
            )
            return make_interaction((await tx.execute(statement.returning(interactions))).one())

        return await self._unit.run(work)

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
        check_epoch(epoch)

        async def work(tx: Transaction) -> Interaction:
            await lock_open_session(tx, self._world_id, key, epoch)
            await self._refuse_another_version(tx, key, number, expected_version)
            changed = await self._change(tx, key, number, values)
            told = {"interaction_number": number, "version": changed.version}
            publish_at_commit(tx, key, LiveKind.INTERACTION_CHANGED, **told)
            return changed

        return await self._unit.run(work)

    async def recent(self, session_id: UUID, limit: int = 20) -> tuple[Interaction, ...]:
        """Return the last interactions, oldest first; empty also when there is no such session. One round trip."""
        key = check_uuid("session_id", session_id)
        statement = (
            select(interactions)
            .where(interactions.c.world_id == self._world_id, interactions.c.session_id == key)
            .order_by(interactions.c.interaction_number.desc())
            .limit(check_limit(limit))
        )

        async def work(tx: Transaction) -> tuple[Interaction, ...]:
            return tuple(make_interaction(row) for row in reversed((await tx.execute(statement)).all()))

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def clear(self, session_id: UUID, *, epoch: int | None = None) -> int:
        """Remove all interactions of a session and return how many there were; the numbers go on."""
        key = check_uuid("session_id", session_id)
        return await self._unit.run(partial(self._clear, key, check_epoch(epoch)))

    async def _clear(self, session_id: UUID, epoch: int | None, tx: Transaction) -> int:
        await lock_open_session(tx, self._world_id, session_id, epoch)
        of_session = (interactions.c.world_id == self._world_id, interactions.c.session_id == session_id)
        removed = (await tx.execute(delete(interactions).where(*of_session))).rowcount
        if removed:
            publish_at_commit(tx, session_id, LiveKind.INTERACTIONS_CLEARED)
        return removed

    async def _change(self, tx: Transaction, session_id: UUID, number: int, values: Mapping[str, Any]) -> Interaction:
        statement = update(interactions).where(
            interactions.c.world_id == self._world_id,
            interactions.c.session_id == session_id,
            interactions.c.interaction_number == number,
        )
        new = {**values, "version": interactions.c.version + 1, "updated_at": func.now()}
        return make_interaction((await tx.execute(statement.values(**new).returning(interactions))).one())

    async def _refuse_another_version(
        self, tx: Transaction, session_id: UUID, number: int, expected: int | None
    ) -> None:
        statement = select(interactions.c.version).where(
            interactions.c.world_id == self._world_id,
            interactions.c.session_id == session_id,
            interactions.c.interaction_number == number,
        )
        actual = await tx.scalar(statement)
        if actual is None:
            raise InteractionNotFound(session_id=session_id, number=number)
        if expected is not None and actual != expected:
            raise VersionConflict(expected=expected, actual=actual)


def _checked(request: str | None, response: str | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns that are given."""
    texts = {"request": request, "response": response}
    values: dict[str, Any] = {
        name: check_text(name, text, limit=MAX_CONTENT_CHARACTERS) for name, text in texts.items() if text is not None
    }
    if metadata is not None:
        values["metadata"] = check_json_object("metadata", metadata)
    return values
