"""The pool of a standby: each read on it is one unit that only reads, with a proof of how new it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import URL

from livingworld.background.tasks import BackgroundTasks
from livingworld.observability.calls import current_call
from livingworld.observability.metrics import Metrics
from livingworld.postgres.connections.engine import create_engine
from livingworld.postgres.replicas.proof import Proof, Shown
from livingworld.postgres.replicas.rest import Rest
from livingworld.postgres.replicas.standby_statement import StandbyStatement
from livingworld.postgres.replicas.taking import Taking
from livingworld.postgres.transactions.admission import Admission
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.transaction import T, Transaction, Work
from livingworld.postgres.transactions.unit import Unit

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings


class Standby(Database):
    """A pool of connections to a standby, or to several; no unit is tried again here."""

    def __init__(
        self, settings: Settings, url: URL, rest: Rest, tasks: BackgroundTasks, admission: Admission, metrics: Metrics
    ) -> None:
        patience = settings.replica_wait
        own = settings.model_copy(update={"pool_timeout": patience})
        engine = create_engine(own, url)
        super().__init__(engine, own, admission=admission, metrics=metrics, name="replica")
        self._taking = Taking(engine, tasks, rest, patience.total_seconds())
        #: Behind a pooler two statements are sure to reach one server in a transaction only.
        self._in_transactions = settings.behind_pooler or bool(self._limits)

    async def ask(self, work: Work[T], world_id: UUID, proof: Proof) -> T:
        """Run a work that reads; raises NotReplayed, StandbyUnused, or what the standby answers."""
        unit = Unit(work, world_id, repeatable=True, single_statement=True, call=current_call.get())
        self.refuse_misplaced()
        self.backlog.enter()
        try:
            return await (self._transacted if self._in_transactions else self._single_read)(unit, proof)
        finally:
            self.backlog.leave()

    async def _single_read(self, unit: Unit[T], proof: Proof) -> T:
        scope = self.scope(unit.world_id)
        tx = self._opened(StandbyStatement(self._single, unit, scope, self._taking, proof), unit, None, is_single=True)
        result = await unit.work(tx)
        tx.report_commit(self.notify, self.work_left)
        return result

    async def _transacted(self, unit: Unit[T], proof: Proof) -> T:
        await self._taking.warm()
        async with self._unit(unit, None, None) as tx:
            await self._taking.in_time(_prove(tx, proof))
            return await unit.work(tx)


async def _prove(tx: Transaction, proof: Proof) -> None:
    async def ask(sql: str, parameters: tuple[Any, ...]) -> Any:  # noqa: ANN401 - rows
        return (await tx.execute_text(sql, parameters)).all()

    await proof.on(ask, Shown())  # the next transaction may be on another server
