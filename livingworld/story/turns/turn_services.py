"""What turns need of the process they run in: connections, group commits, notifications, tasks, settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.background.tasks import BackgroundTasks
from livingworld.postgres.group_commit import GroupCommit
from livingworld.postgres.notifications import Notifications, TopicSubscription
from livingworld.postgres.transactions.unit_of_work import UnitOfWork
from livingworld.story.turns.committing import CommitRequest, CommitResult
from livingworld.story.turns.taking import TakeRequest, TakeResult

#: Without a notification a holder looks so many polling intervals apart whether it still holds its lease.
_LOOKS_APART: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnServices:
    """Shared by every turn of one world in one process."""

    world_id: UUID
    unit: UnitOfWork
    #: For what must get through while the pool is busy: few connections of its own.
    background: UnitOfWork
    takes: GroupCommit[TakeRequest, TakeResult]
    commits: GroupCommit[CommitRequest, CommitResult]
    notifications: Notifications
    tasks: BackgroundTasks
    lease: timedelta
    poll_interval: timedelta

    @property
    def look_every(self) -> timedelta:
        """How often a holder looks whether it still holds its lease."""
        return self.poll_interval * _LOOKS_APART

    def subscription(self, topic: str) -> Callable[[], AbstractContextManager[TopicSubscription]]:
        """Return what opens a subscription of a topic."""
        return lambda: self.notifications.subscribe(topic)


def branch_topic(story_id: UUID, branch_number: int | None) -> str:
    """Return the topic on which everything is told that concerns who may write next at a branch."""
    return f"turn:{story_id}:{branch_number}"
