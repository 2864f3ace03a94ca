"""What the parts of one world share in one process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from livingworld.background.tasks import BackgroundTasks
from livingworld.observability.metrics import Metrics
from livingworld.postgres.notifications import Notifications
from livingworld.postgres.transactions.world_database import WorldDatabase

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the parts of a world need of their process."""

    unit: WorldDatabase
    #: For what must get through while the pool is busy: few connections of its own.
    background: WorldDatabase
    notifications: Notifications
    tasks: BackgroundTasks
    settings: Settings
    #: What this LivingWorld counts and measures.
    metrics: Metrics
    #: Names this opened LivingWorld to other processes.
    process_id: UUID

    @property
    def world_id(self) -> UUID:
        """Id of the world."""
        return self.unit.world_id

    @property
    def poll_interval(self) -> timedelta:
        """How often a waiter looks by itself, since a notification is a hint that may be lost."""
        return self.settings.poll_interval
