"""What the failure of an attempt means: the unit runs again, or its caller gets a named error, which may be logged."""

from __future__ import annotations

from typing import Any, NoReturn

from livingworld.errors import CommitUnknown, DeadlockDetected, LivingWorldError, SerializationFailure
from livingworld.observability import events
from livingworld.postgres.driver_errors.failures import Failure, RetryKind, name_failure
from livingworld.postgres.transactions.retry import RolledBack
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit import Phase, Unit
from livingworld.postgres.transactions.unit_meter import REFUSALS, UnitMeter


def driver_failure(exception: Exception, tx: Transaction | None, phase: Phase) -> Failure | None:
    """Return what the driver reported, or None when the exception has another cause or comes after the commit."""
    if phase is Phase.COMMITTED:
        return None
    if isinstance(exception, LivingWorldError):
        ours = tx is not None and tx.failure is not None and tx.failure.error is exception
        return tx.failure if tx is not None and ours else None
    return None if phase is Phase.WORKING else name_failure(exception)


def raise_failure(failure: Failure, unit: Unit[Any], tx: Transaction | None) -> NoReturn:
    """Raise RolledBack when the unit may run again, CommitUnknown when its effect is unknown, else the error."""
    ambiguous = unit.phase is Phase.COMMITTING and not failure.answered
    if ambiguous and not unit.repeatable:
        raise CommitUnknown from failure.cause
    if ambiguous or failure.retry is not None:
        unit.phase = Phase.OPENING
        unit.commit_was_lost |= ambiguous
        row = None if tx is None else tx.row
        raise RolledBack(failure.error, failure.cause, failure.retry or RetryKind.OUTAGE, row)
    raise failure.error from failure.cause


def report_failure(meter: UnitMeter, began: float, error: BaseException) -> None:
    """Count a unit that was rolled back, and log why.

    A failure is logged as an error, the application's own exception by its class only, and a refusal that the caller
    has to expect not at all.
    """
    meter.failed(began, error)
    if not isinstance(error, LivingWorldError):
        events.emit(events.ROLLED_BACK, error=type(error).__name__)
    elif isinstance(error, SerializationFailure | DeadlockDetected) or not isinstance(error, REFUSALS):
        events.emit_failure(error)
