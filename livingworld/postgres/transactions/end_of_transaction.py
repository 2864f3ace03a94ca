"""What a transaction keeps for its end: what is stored as its last write, and what is said after its commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from livingworld.observability.events import Event, emit

if TYPE_CHECKING:
    from livingworld.postgres.transactions.transaction import Transaction

Item = TypeVar("Item")
#: Stores what was collected in a transaction, as one of its last statements.
StoreAll = Callable[["Transaction", list[Item]], Awaitable[None]]
#: Wakes the subscribers of a topic, in this process and others; never blocks or raises.
Notify = Callable[[str], None]
#: Takes notice of a world for which a commit left work in the background of this process; never blocks or raises.
WorkLeft = Callable[[UUID], None]


@dataclass(slots=True)
class EndOfTransaction:
    """What waits for the end of one transaction."""

    events: list[tuple[Event, dict[str, object]]] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    unstored: dict[StoreAll[Any], list[Any]] = field(default_factory=dict)
    #: Whether it leaves work of its world to the background.
    leaves_work: bool = False

    async def store_all(self, tx: Transaction) -> None:
        """Call every `store` with its items."""
        stores, self.unstored = self.unstored, {}
        for store, items in stores.items():
            await store(tx, items)

    def refuse_unstored(self) -> None:
        """Raise AssertionError when an item was kept by a single statement: it would be lost."""
        if any(self.unstored.values()):
            raise AssertionError("a single statement has no end at which anything is stored")

    def report(self, notify: Notify) -> None:
        """Log and notify what was kept."""
        for event, fields in self.events:
            emit(event, **fields)
        for topic in self.topics:
            notify(topic)
        self.events.clear()
        self.topics.clear()

    def mark(self) -> tuple[int, int, dict[StoreAll[Any], list[Any]]]:
        """Return how much is kept by now."""
        return len(self.events), len(self.topics), {store: list(items) for store, items in self.unstored.items()}

    def forget_after(self, mark: tuple[int, int, dict[StoreAll[Any], list[Any]]]) -> None:
        """Drop what was kept since then."""
        events, topics, self.unstored = mark
        del self.events[events:], self.topics[topics:]
