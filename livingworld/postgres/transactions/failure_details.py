"""What the failure of a statement is told with: the database that is not ready, the statements of a deadlock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from livingworld.errors import DeadlockDetected, SchemaNotReady
from livingworld.observability.events import DEADLOCK_BROKEN, emit
from livingworld.postgres.driver_errors.deadlocks import deadlock_error
from livingworld.postgres.driver_errors.failures import Failure, name_failure
from livingworld.settings.database_url import database_address

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from livingworld.postgres.transactions.transaction import Transaction  # it asks this module


def detailed_failure(exception: BaseException, statement: object, engine: AsyncEngine, tx: Transaction) -> Failure:
    """Return the failure that a driver's exception means, with its details; a deadlock is logged and counted."""
    failure = name_failure(exception)
    if isinstance(failure.error, SchemaNotReady):  # does not help without the name of the database
        name = database_address(engine.url)
        message = f"The database {name} lacks livingworld's tables or this release's; run `livingworld db upgrade`."
        return replace(failure, error=SchemaNotReady(message, database=name))
    if isinstance(failure.error, DeadlockDetected):
        return replace(failure, error=_deadlock(exception, statement, tx))
    return failure


def _deadlock(exception: BaseException, statement: object, tx: Transaction) -> DeadlockDetected:
    watch = tx.lock_watch
    error = deadlock_error(exception, str(statement), {} if watch is None else watch.statements)
    emit(DEADLOCK_BROKEN, statements=tx.statements, statement=error.statement, others=error.others)
    if watch is not None:
        watch.contention.deadlocked("broken")
    return error
