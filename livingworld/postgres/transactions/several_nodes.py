"""Whether another node than the one that answers may have committed a statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Protocol

from sqlalchemy import text

from livingworld.errors import LivingWorldError, StatementTimeout
from livingworld.observability.calls import current_call
from livingworld.postgres.driver_errors.failures import Failure
from livingworld.postgres.transactions.overdue import CancelSession
from livingworld.postgres.transactions.transaction import Transaction, Work
from livingworld.postgres.transactions.unit import Phase, Unit

#: Returns whether a statement runs on another node than the one that is asked; never raises.
SeveralNodes = Callable[[], Awaitable[bool]]

_HAS_NODES: Final = text("SELECT to_regclass('pg_dist_node') IS NOT NULL")
_ARE_SEVERAL: Final = text("SELECT count(*) > 1 FROM pg_dist_node WHERE isactive")


class Runner(Protocol):
    """What runs the look: Database."""

    async def run(self, work: Work[bool], *, repeatable: bool = False) -> bool:
        """Run `work` as one transaction; see Database.run."""
        ...


async def one_node() -> bool:
    """Say that the node that answers is the one that commits."""
    return False


def several_nodes(runner: Runner) -> SeveralNodes:
    """Return what looks whether Citus spreads the database over several nodes, until it does.

    A call that is one statement runs on the node of its world as a transaction of its own. A session that is cancelled
    says so, also when the other node has committed: outside of a transaction Citus opens none there.
    """
    several = False

    async def are_several() -> bool:
        nonlocal several
        if not several:  # one node may become several while this process runs
            try:
                several = await runner.run(_look, repeatable=True)
            except LivingWorldError:
                return True  # nobody knows; it is asked again
        return several

    return are_several


async def _look(tx: Transaction) -> bool:
    return bool(await tx.scalar(_HAS_NODES)) and bool(await tx.scalar(_ARE_SEVERAL))


async def in_doubt(failure: Failure, unit: Unit[Any], are_several: SeveralNodes) -> Failure:
    """Return the failure; where a statement was cancelled that another node may have committed, without an answer."""
    cancelled = isinstance(failure.error, StatementTimeout) and unit.phase is Phase.COMMITTING
    if cancelled and not unit.repeatable and await are_several():
        return replace(failure, answered=False)
    return failure


def cancelling(cancel: CancelSession, are_several: SeveralNodes) -> CancelSession:
    """Return what cancels a session where its answer says for certain how the statement ended, and else lets it run."""

    async def cancel_where_certain(connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
        current_call.set(None)  # in a task of its own: this is no work of the call that takes long
        if not await are_several():
            await cancel(connection)

    return cancel_where_certain
