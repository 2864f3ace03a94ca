"""Erasing what one person wrote, in transactions of a bounded size, each of which leaves less to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from livingworld.erasure import sessions, turns
from livingworld.erasure.records import Counts, Erased, Receipt, Scenes
from livingworld.erasure.walks import WALKS
from livingworld.errors import InvalidInput
from livingworld.inputs import check_label
from livingworld.models.embeddings.cache import remove_old_vectors
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

#: Cached vectors of one statement.
_VECTORS: Final = 1_000
_SCENES: Final = ("keep", "blank")


def check_scenes(value: object) -> Scenes:
    """Return what becomes of the scenes, "keep" or "blank"; raises InvalidInput."""
    if value == "keep":
        return "keep"
    if value == "blank":
        return "blank"
    raise InvalidInput("scenes", 'must be "keep" or "blank"')


class Erasure:
    """Erases one person from one world."""

    def __init__(self, unit: WorldUnit, player: object, scenes: object) -> None:
        """Check who is erased and what becomes of the scenes; raises InvalidInput."""
        self._unit = unit
        self._player = check_label("player", player)
        self._scenes = check_scenes(scenes)
        self._receipt = Receipt()

    async def run(self) -> Erased:
        """Erase everything and return the receipt; run again, it goes on where it was interrupted."""
        await self._repeat(sessions.erase_presence, self._player)
        for story_id in await self._unit.read(turns.stories_of, self._player):
            await self._repeat(turns.erase_prompts, story_id, self._player)
            await self._repeat(turns.erase_turns, story_id, self._player, self._scenes)
        for session_id in await self._unit.read(sessions.sessions_of, self._player):
            await self._repeat(sessions.erase_interactions, session_id)
            self._receipt.add(await self._unit.write_idempotent(sessions.erase_session, session_id))
        for walk, place in WALKS:
            await self._walk(walk, place)
        await self._repeat(_erase_cached_vectors)
        return self._receipt.erased()

    async def _repeat(self, step: Callable[..., Awaitable[Counts]], *args: object) -> None:
        """Run a step until there is nothing left to do."""
        while self._receipt.add(await self._unit.write_idempotent(step, *args)):
            pass

    async def _walk(self, walk: Any, place: Any) -> None:  # noqa: ANN401
        while place is not None:
            step = await self._unit.write_idempotent(walk, place, self._player)
            self._receipt.add(step.counts)
            place = step.place


async def _erase_cached_vectors(tx: Transaction) -> Mapping[str, int]:
    """Remove some cached vectors of the world: none says whose text it was made of, and each can be made again."""
    return {"embedding_cache": await remove_old_vectors(tx, timedelta(0), _VECTORS)}
