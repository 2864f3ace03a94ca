"""Which version runs where: one row for each version that runs in a process, however many uses it has there."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.errors import LivingWorldError
from livingworld.identifiers import new_id
from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.models.scripts.activating import scripts_topic
from livingworld.models.scripts.retiring import ended_topic
from livingworld.observability import events
from livingworld.postgres import leases
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction

# FOR SHARE: a retirement that marks the version waits for us, or we wait for it and find the mark.
_BEGIN: Final = """
    INSERT INTO livingworld.script_executions
        (world_id, name, version, execution_id, process_id, host, pid, expires_at)
    SELECT v.world_id, v.name, v.version, $4, $5, $6, $7, now() + $8::interval
    FROM livingworld.script_versions AS v
    WHERE v.world_id = $1 AND v.name = $2 AND v.version = $3 AND v.state = 'ready'
    FOR SHARE OF v
    ON CONFLICT ON CONSTRAINT pk_script_executions DO UPDATE SET expires_at = excluded.expires_at
    RETURNING true
"""
# What has expired stays so: it may have been counted out. What is locked is being removed.
_RENEW: Final = """
    WITH own AS MATERIALIZED (
        SELECT o.name, o.version, o.execution_id FROM livingworld.script_executions AS o
        WHERE o.world_id = $1 AND o.process_id = $2 AND o.expires_at > now()
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE livingworld.script_executions AS e SET expires_at = now() + $3::interval
    FROM own JOIN livingworld.script_versions AS v ON v.world_id = $1 AND v.name = own.name AND v.version = own.version
    WHERE e.world_id = $1 AND e.name = own.name AND e.version = own.version AND e.execution_id = own.execution_id
    RETURNING e.execution_id, v.state
"""
_END: Final = """
    DELETE FROM livingworld.script_executions AS e USING livingworld.script_versions AS v
    WHERE e.world_id = $1 AND e.name = $2 AND e.version = $3 AND e.execution_id = $4
        AND v.world_id = $1 AND v.name = $2 AND v.version = $3
    RETURNING v.state
"""


@dataclass(eq=False, slots=True)
class Execution:
    """All uses of a version at one time in this process."""

    name: str
    version: int
    trusted_until: float
    id: UUID = field(default_factory=lambda: UUID(int=new_id().int))
    uses: int = 0
    #: Whether its row was stored; False: the version is retiring or retired.
    began: asyncio.Task[bool] | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Return which version runs."""
        return self.name, self.version


class Executions:
    """What this process runs of the scripts of one world."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lease = services.settings.script_lease
        #: Everything that runs, and the part that another use may join.
        self._running: set[Execution] = set()
        self._joinable: dict[tuple[str, int], Execution] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def begin(self, name: str, version: int) -> Execution | None:
        """Run a version until `end`; None when it is retiring or retired. Writes only where none of it runs here."""
        execution = self._joinable.get((name, version))
        if execution is None or asyncio.get_running_loop().time() >= execution.trusted_until:
            execution = self._start(name, version)
        execution.uses += 1
        try:
            assert execution.began is not None  # noqa: S101 - _start has set it
            began = await asyncio.shield(execution.began)
        except BaseException:
            self._leave(execution)
            raise
        if not began:
            self._leave(execution)
        return execution if began else None

    async def end(self, execution: Execution) -> None:
        """Say that one use is over; the row goes with the last one, also when the caller is cancelled."""
        if (removing := self._leave(execution)) is not None:
            await asyncio.shield(removing)

    def _start(self, name: str, version: int) -> Execution:
        execution = Execution(name, version, self._trusted_from_now())
        execution.began = self._services.tasks.finish(self._store(execution))
        self._joinable[execution.key] = execution
        self._running.add(execution)
        if self._keeper is None:
            self._keeper = self._services.tasks.watch(self._keep())
        return execution

    def _leave(self, execution: Execution) -> Awaitable[None] | None:
        execution.uses -= 1
        if execution.uses:
            return None
        self._close(execution)
        self._running.discard(execution)
        if not self._running and self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None
        return self._services.tasks.finish(self._remove(execution))

    def _close(self, execution: Execution) -> None:
        """Let no other use join."""
        if self._joinable.get(execution.key) is execution:
            del self._joinable[execution.key]

    async def _store(self, execution: Execution) -> bool:
        host = socket.gethostname()[:MAX_LABEL_CHARACTERS]
        here = (self._services.process_id, host, os.getpid(), self._lease)
        try:
            began = await self._services.background.write_single_idempotent(_begin, execution, *here)
        except BaseException:
            self._close(execution)
            raise
        if not began:
            self._close(execution)
        return began

    async def _remove(self, execution: Execution) -> None:
        """Remove the row; when the server is away it ends by itself."""
        assert execution.began is not None  # noqa: S101 - as in `begin`
        await asyncio.wait([execution.began])
        if execution.began.exception() is None and not execution.began.result():
            return
        try:
            state = await self._services.background.write_single_idempotent(_end, execution)
        except LivingWorldError as error:
            events.emit(events.LEASE_NOT_RELEASED, world_id=self._services.world_id, error=type(error).__name__)
        else:
            if state == "retiring":
                self._services.notifications.notify(ended_topic(self._services.world_id))

    async def _keep(self) -> None:
        """Renew the rows, and learn what is being retired, while anything runs here."""
        with self._services.notifications.subscribe(scripts_topic(self._services.world_id)) as subscription:
            while True:
                await subscription.wait(self._lease / leases.RENEWALS)
                await self._renew()

    async def _renew(self) -> None:
        """Renew all rows by one statement; one that fails is no renewal, and the time that is trusted runs on."""
        trusted = self._trusted_from_now()
        stored = [each for each in self._running if each.began and each.began.done() and not each.began.exception()]
        try:
            own = (self._services.process_id, self._lease)
            states = await self._services.background.write_single_idempotent(_renew, *own)
        except LivingWorldError as error:
            events.emit(events.SERVICE_FAILED, service="script executions", error=type(error).__name__)
            return
        for execution in stored:
            self._heed(execution, states.get(execution.id), trusted)

    def _heed(self, execution: Execution, state: str | None, trusted: float) -> None:
        if state == "ready":
            execution.trusted_until = trusted
            return
        self._close(execution)
        if state is None and execution in self._running:
            self._running.discard(execution)
            events.emit(events.EXECUTION_LOST, world_id=self._services.world_id, version=execution.version)

    def _trusted_from_now(self) -> float:
        return leases.trusted_until(asyncio.get_running_loop().time(), self._lease)


async def _begin(tx: Transaction, execution: Execution, *here: object) -> bool:
    own = (tx.world_id, *execution.key, execution.id)
    return (await tx.execute_text(_BEGIN, (*own, *here))).first() is not None


async def _renew(tx: Transaction, process_id: UUID, lease: timedelta) -> dict[UUID, str]:
    rows = await tx.execute_text(_RENEW, (tx.world_id, process_id, lease))
    return {UUID(int=row.execution_id.int): row.state for row in rows}


async def _end(tx: Transaction, execution: Execution) -> str | None:
    """Remove the row and return the state of its version."""
    state: str | None = (await tx.execute_text(_END, (tx.world_id, *execution.key, execution.id))).scalar()
    return state
