"""Removing what only grows and is not needed for ever: caches, keys, events and what has ended, by the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from livingworld.background.periodic_service import running
from livingworld.coordination.actions.repository import remove_ended
from livingworld.coordination.sessions.interaction_repository import remove_old_interactions
from livingworld.inputs import check_duration
from livingworld.live.following import remove_old_events
from livingworld.models.embeddings.cache import remove_old_vectors
from livingworld.postgres.idempotency import remove_old_keys
from livingworld.postgres.removal import RemoveOld
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.story.worlds.repository import WorldRepository

if TYPE_CHECKING:
    from livingworld.settings.settings import Settings

#: Rows of one statement, which locks them until it ends.
_BATCH: Final = 1_000
#: Worlds of one read.
_WORLDS: Final = 500
PRUNE_EVERY: Final = timedelta(hours=1)
#: What each field of Pruned counts; the setting `keep_` + its name says for how long it is kept.
_REMOVALS: Final[dict[str, RemoveOld]] = {
    "embeddings": remove_old_vectors,
    "request_keys": remove_old_keys,
    "events": remove_old_events,
    "actions": remove_ended,
    "interactions": remove_old_interactions,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How much was removed, in all worlds."""

    #: Vectors of the cache.
    embeddings: int = 0
    #: Results of requests by their keys.
    request_keys: int = 0
    #: Published events.
    events: int = 0
    #: Actions that had ended.
    actions: int = 0
    #: Interactions of sessions.
    interactions: int = 0

    @property
    def total(self) -> int:
        """All of them together."""
        return sum(getattr(self, field.name) for field in fields(self))


class Pruning:
    """Removes what is older than the settings keep it, in every world of a database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """`database` has connections that the calls of the application do not wait for."""
        self._database = database
        self._worlds = WorldRepository(database, settings.tenant)
        self._kept = {name: getattr(settings, f"keep_{name}") for name in _REMOVALS}

    async def prune(self) -> Pruned:
        """Remove all that is too old now, and return how much that was."""
        counts = dict.fromkeys(_REMOVALS, 0)
        after = None
        while True:
            page = await self._worlds.list(include_archived=True, after=after, limit=_WORLDS)
            for record in page.items:
                for name in _REMOVALS:
                    counts[name] += await self._prune(record.id, name)
            if (after := page.next) is None:
                return Pruned(**counts)

    @asynccontextmanager
    async def pruning(self, every: timedelta) -> AsyncIterator[None]:
        """Prune about so often while the block runs."""
        check_duration("every", every, minimum=timedelta.resolution)
        self._database.refuse_misplaced()
        async with running("pruning", self._run_once, every=every, metrics=self._database.meter.metrics):
            yield

    async def _run_once(self) -> int:
        await self.prune()
        return 0  # all that is too old is gone

    async def _prune(self, world_id: UUID, name: str) -> int:
        age: timedelta | None = self._kept[name]
        unit, removed = WorldDatabase(self._database, world_id), 0
        while age is not None and (batch := await unit.write_single_idempotent(_REMOVALS[name], age, _BATCH)):
            removed += batch
        return removed
