"""What is shown of one pool at each moment: its connections, and what waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics
from livingworld.postgres.connections.connection_pool import ConnectionPool
from livingworld.postgres.transactions.backlog import Backlog
from livingworld.postgres.transactions.lock_waits import LockWaits

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


def observe_pool(metrics: Metrics, name: str, engine: AsyncEngine, backlog: Backlog, lock_waits: LockWaits) -> None:
    """Show the pool of an engine under a name, the calls that it has to answer, and the units that wait for rows."""
    cast("ConnectionPool", engine.pool).measure(metrics, name)
    metrics.observe(instruments.CALLS_UNANSWERED, lambda: backlog.calls, name)
    metrics.observe(instruments.CHARACTERS_UNANSWERED, lambda: backlog.characters, name)
    metrics.observe(instruments.LOCK_QUEUE, lambda: lock_waits.waiting, name)
