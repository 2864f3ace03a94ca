"""What the transactions of this process met at locks: by kind of lock, and for the stories at which most was met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.observability import instruments
from livingworld.observability.histogram import Histogram
from livingworld.observability.metrics import Metrics
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import LockedRow

#: So many stories are counted one by one; the story at which longest nothing was met makes room for the next.
MOST_STORIES: Final = 1_000
#: What is locked and is not in the order of locks, or not known.
OTHER: Final = "other"


@dataclass(slots=True)
class Tally:
    """What was met at the locks of one kind, or at one story."""

    waits: int = 0
    wait_seconds: float = 0.0
    longest_wait_seconds: float = 0.0
    holds: int = 0
    hold_seconds: float = 0.0
    longest_hold_seconds: float = 0.0
    conflicts: int = 0
    retries: int = 0
    timeouts: int = 0

    def add_wait(self, seconds: float) -> None:
        """Count a wait."""
        self.waits += 1
        self.wait_seconds += seconds
        self.longest_wait_seconds = max(self.longest_wait_seconds, seconds)

    def add_hold(self, seconds: float) -> None:
        """Count a hold."""
        self.holds += 1
        self.hold_seconds += seconds
        self.longest_hold_seconds = max(self.longest_hold_seconds, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockCounts:
    """What the transactions of this LivingWorld met at the locks of one kind, or of one story, since it was opened."""

    #: Kind in the order of locks, for example "story"; "other": it is not in the order.
    kind: str
    #: None: the counts are those of all locks of the kind.
    world_id: UUID | None = None
    story_id: UUID | None = None
    #: Calls that waited for a lock, how long in all, and the longest of them.
    waits: int
    wait_time: timedelta
    longest_wait: timedelta
    #: Transactions that held such locks, how long in all, and the longest of them.
    holds: int
    hold_time: timedelta
    longest_hold: timedelta
    #: How often a lock was asked for and another transaction had it.
    conflicts: int
    #: Further tries of calls that met a held lock.
    retries: int
    #: Calls that waited as long as they may: LockTimeout.
    timeouts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockContention:
    """Where the transactions of this LivingWorld met each other, and those of others, since it was opened."""

    #: One for each kind of which a lock was held or met, in the order of locks.
    kinds: tuple[LockCounts, ...]
    #: The stories at which most time was spent waiting, the hottest first; of the last 1,000 at which any was met.
    stories: tuple[LockCounts, ...]


class Contention:
    """Counts in memory of a bounded size; written and read in one event loop only."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kinds: dict[LockKind | None, Tally] = {}
        self._stories: dict[tuple[UUID, UUID], Tally] = {}
        self._holds: dict[LockKind, Histogram] = {}

    def waited(self, row: LockedRow | None, seconds: float, *, retries: int = 0, timed_out: bool = False) -> None:
        """Count a wait for a lock, the tries that it took, and whether it ended without the lock."""
        for tally in self._tallies(row):
            tally.add_wait(seconds)
            tally.retries += retries
            tally.timeouts += timed_out
        kind = _name(_kind(row))
        self._metrics.record(instruments.LOCK_WAIT, seconds, kind)
        if timed_out:
            self._metrics.add(instruments.LOCK_TIMEOUTS, 1, kind)

    def met(self, row: LockedRow | None) -> None:
        """Count that another transaction had a lock."""
        for tally in self._tallies(row):
            tally.conflicts += 1
        self._metrics.add(instruments.LOCK_CONFLICTS, 1, _name(_kind(row)))

    def held(self, kind: LockKind, seconds: float, stories: Iterable[tuple[UUID, UUID]] = ()) -> None:
        """Count that a transaction had locks of a kind until it ended; of stories that are counted, by story too."""
        tally = self._kinds.get(kind) or self._kinds.setdefault(kind, Tally())
        tally.add_hold(seconds)
        for story in stories:
            if story in self._stories:
                self._stories[story].add_hold(seconds)
        histogram = self._holds.get(kind)
        if histogram is None:
            histogram = self._holds[kind] = self._metrics.histogram(instruments.LOCK_HOLD, _name(kind))
        histogram.record(seconds)

    def has_stories(self) -> bool:
        """Return whether any story is counted by itself."""
        return bool(self._stories)

    def deadlocked(self, reason: str) -> None:
        """Count a deadlock: one that was broken, a cycle of waits that was seen, or a wait out of order."""
        self._metrics.add(instruments.DEADLOCKS, 1, reason)

    def report(self, most: int) -> LockContention:
        """Return the counts by kind, and those of the hottest stories."""
        kinds = sorted(self._kinds.items(), key=lambda item: item[0] or len(LockKind) + 1)
        hottest = sorted(self._stories.items(), key=lambda item: _heat(item[1]), reverse=True)[:most]
        return LockContention(
            kinds=tuple(_counts(_name(kind), None, tally) for kind, tally in kinds),
            stories=tuple(_counts(_name(LockKind.STORY), story, tally) for story, tally in hottest),
        )

    def _tallies(self, row: LockedRow | None) -> list[Tally]:
        """Return what counts for a lock: its kind, and its story where it is one."""
        found = [self._kinds.setdefault(_kind(row), Tally())]
        if (story := story_of(row)) is not None:
            tally = self._stories.pop(story, None) or Tally()
            self._stories[story] = tally  # the last one now
            if len(self._stories) > MOST_STORIES:
                del self._stories[next(iter(self._stories))]
            found.append(tally)
        return found


def story_of(row: LockedRow | None) -> tuple[UUID, UUID] | None:
    """Return world and story of what is locked when that is a story, else None."""
    if row is None or len(row) != len(("kind", "world", "story")) or row[0] is not LockKind.STORY:
        return None
    _, world, story = row
    return (world, story) if isinstance(world, UUID) and isinstance(story, UUID) else None


def _kind(row: LockedRow | None) -> LockKind | None:
    return row[0] if row and isinstance(row[0], LockKind) else None


def _name(kind: LockKind | None) -> str:
    return OTHER if kind is None else kind.name.lower()


def _heat(tally: Tally) -> tuple[float, int]:
    return tally.wait_seconds, tally.conflicts


def _counts(kind: str, story: tuple[UUID, UUID] | None, tally: Tally) -> LockCounts:
    return LockCounts(
        kind=kind,
        world_id=None if story is None else UUID(int=story[0].int),
        story_id=None if story is None else UUID(int=story[1].int),
        waits=tally.waits,
        wait_time=timedelta(seconds=tally.wait_seconds),
        longest_wait=timedelta(seconds=tally.longest_wait_seconds),
        holds=tally.holds,
        hold_time=timedelta(seconds=tally.hold_seconds),
        longest_hold=timedelta(seconds=tally.longest_hold_seconds),
        conflicts=tally.conflicts,
        retries=tally.retries,
        timeouts=tally.timeouts,
    )
