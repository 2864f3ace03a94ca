"""What the parts of a world need of the process they run in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from livingworld.background.tasks import BackgroundTasks
from livingworld.postgres.notifications import Notifications
from livingworld.postgres.transactions.transaction import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What one process shares among all its worlds."""

    #: For what must get through while the pool is busy: few connections of its own.
    background: UnitOfWork
    notifications: Notifications
    tasks: BackgroundTasks
    poll_interval: timedelta
