"""Who runs which version: one row for each version that runs in a process, however many run it there."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.background.tasks import BackgroundTasks
from livingworld.errors import LivingWorldError
from livingworld.identifiers import new_id
from livingworld.inputs import MAX_LABEL_CHARACTERS
from livingworld.models.scripts.telling import ended_topic, scripts_topic
from livingworld.observability import events
from livingworld.postgres.notifications import Notifications
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork

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
# What has expired stays so: it may have been counted out. What somebody has in hand is being removed.
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
#: The share of the lease for which others may join, and how often it is renewed in its length.
_TRUSTED: Final = 0.9
_BEATS: Final = 4


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

    def __init__(
        self,
        background: UnitOfWork,
        world_id: UUID,
        tasks: BackgroundTasks,
        notifications: Notifications,
        *,
        process_id: UUID,
        lease: timedelta,
    ) -> None:
        self._background = background
        self._world_id = world_id
        self._tasks = tasks
        self._notifications = notifications
        self._process_id = process_id
        self._lease = lease
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
        execution.began = self._tasks.finish(self._store(execution))
        self._joinable[execution.key] = execution
        self._running.add(execution)
        if self._keeper is None:
            self._keeper = self._tasks.watch(self._keep())
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
        return self._tasks.finish(self._remove(execution))

    def _close(self, execution: Execution) -> None:
        """Let nobody join any more."""
        if self._joinable.get(execution.key) is execution:
            del self._joinable[execution.key]

    async def _store(self, execution: Execution) -> bool:
        own = (self._world_id, *execution.key, execution.id)
        here = (self._process_id, socket.gethostname()[:MAX_LABEL_CHARACTERS], os.getpid(), self._lease)

        async def work(tx: Transaction) -> bool:
            return (await tx.execute_text(_BEGIN, (*own, *here))).first() is not None

        try:
            began = await self._background.run(work, repeatable=True, single_statement=True)
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
        own = (self._world_id, *execution.key, execution.id)

        async def work(tx: Transaction) -> str | None:
            state: str | None = (await tx.execute_text(_END, own)).scalar()
            return state

        try:
            state = await self._background.run(work, repeatable=True, single_statement=True)
        except LivingWorldError as error:
            events.emit(events.LEASE_NOT_RELEASED, world_id=self._world_id, error=type(error).__name__)
        else:
            if state == "retiring":
                self._notifications.notify(ended_topic(self._world_id))

    async def _keep(self) -> None:
        """Be heard of, and hear what is being retired, while anything runs here."""
        with self._notifications.subscribe(scripts_topic(self._world_id)) as subscription:
            while True:
                await subscription.wait(self._lease / _BEATS)
                await self._renew()

    async def _renew(self) -> None:
        """Renew all rows by one statement; one that fails is no renewal, and the time that is trusted runs on."""
        trusted = self._trusted_from_now()
        stored = [each for each in self._running if each.began and each.began.done() and not each.began.exception()]

        async def work(tx: Transaction) -> dict[UUID, str]:
            rows = await tx.execute_text(_RENEW, (self._world_id, self._process_id, self._lease))
            return {UUID(int=row.execution_id.int): row.state for row in rows}

        try:
            states = await self._background.run(work, repeatable=True, single_statement=True)
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
            events.emit(events.EXECUTION_LOST, world_id=self._world_id, version=execution.version)

    def _trusted_from_now(self) -> float:
        return asyncio.get_running_loop().time() + self._lease.total_seconds() * _TRUSTED
