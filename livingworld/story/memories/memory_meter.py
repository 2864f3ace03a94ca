"""What is counted of operations on memories: their durations, by the names of OpenTelemetry's conventions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from time import perf_counter
from typing import Concatenate, ParamSpec, TypeVar

from livingworld.observability import instruments
from livingworld.postgres.transactions.transaction import Transaction

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Transaction, P], Awaitable[T]]


def counted(operation: str) -> Callable[[Work[P, T]], Work[P, T]]:
    """Have each try of some work counted as this operation."""

    def decorate(work: Work[P, T]) -> Work[P, T]:
        @wraps(work)
        async def counting(tx: Transaction, /, *args: P.args, **kw: P.kwargs) -> T:
            began, error = perf_counter(), ""
            try:
                return await work(tx, *args, **kw)
            except BaseException as raised:
                error = type(raised).__name__
                raise
            finally:
                if tx.meter is not None:
                    seconds = perf_counter() - began
                    tx.meter.metrics.record(instruments.MODEL_DURATION, seconds, operation, "", error)

        return counting

    return decorate
