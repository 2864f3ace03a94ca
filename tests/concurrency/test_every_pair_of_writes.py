"""Race: a write comes while a transaction that did another one is open: both leave what one after the other leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, cast

import pytest

from livingworld import LivingWorld
from livingworld.errors import Conflict, NotFound, Refused, SerializationFailure, SessionCleared
from tests.support.action_checks import broken_lanes
from tests.support.every_write import ALONE, WRITES, Write, furnish
from tests.support.rotation import rotated
from tests.support.staging import backend_of, deadlocks, done_or_behind, elsewhere
from tests.support.stored_rows import comparable_rows_of

#: A commit tries one of so many parts of the pairs.
ROTATION: Final = 293
PARTS: Final = 2
PAIRS: Final = [(one, other) for one in WRITES if one not in ALONE for other in WRITES if other != "worlds.purge"]
#: These wait for nobody, and pass by what somebody else has in hand.
PASSING_BY: Final = {"actions.claim", "tasks.take_over", "text_embeddings.run_once", "text_embeddings.run_all"}
#: What began before one of these is refused by it, and what begins after it is not.
CLEARS: Final = {"sessions.clear", "interactions.clear"}

#: What the second of two writes was told, and what is stored then.
Left: TypeAlias = tuple[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Pair:
    """Two writes, each time carried out in a world of their own."""

    first: Write
    second: Write
    livingworld: LivingWorld
    url: str

    async def at_once(self) -> Left:
        """Begin the second while a transaction with the first is open, and commit that when the second waits."""
        there = await furnish(self.livingworld)
        async with elsewhere(there.world.transaction()) as tx:
            await self.first(replace(there, world=cast("Any", tx)))
            writing = asyncio.ensure_future(self.second(there))
            await done_or_behind(writing, self.url, await backend_of(tx))
        told = await _end_of(writing)
        assert await broken_lanes(self.url, there.world.id) == []
        return told, await comparable_rows_of(self.url, there.world.id)

    async def one_after_the_other(self, *, backwards: bool) -> Left:
        """Carry out both, each by itself."""
        there = await furnish(self.livingworld)
        told = await _end_of(self.second(there)) if backwards else None
        await _end_of(self.first(there))
        told = told or await _end_of(self.second(there))
        return told, await comparable_rows_of(self.url, there.world.id)


async def _end_of(write: Awaitable[object]) -> str:
    """Return what a write was told: that it is done, or by which name it was refused."""
    try:
        await write
    except SerializationFailure:
        raise
    except (NotFound, Conflict, Refused) as error:
        return type(error).__name__
    return "done"


@pytest.mark.slow
@pytest.mark.rotates
@pytest.mark.parametrize("part", range(PARTS))
async def test_two_writes_at_once_leave_what_one_after_the_other_leaves(
    database_url: str, livingworld: LivingWorld, part: int
) -> None:
    others = {}
    for one, other in rotated(PAIRS, ROTATION)[part::PARTS]:
        pair = Pair(WRITES[one], WRITES[other], livingworld, database_url)
        left = await pair.at_once()
        if one in CLEARS and left[0] == SessionCleared.__name__:
            continue
        if other in PASSING_BY or left == await pair.one_after_the_other(backwards=False):
            continue
        if left != (expected := await pair.one_after_the_other(backwards=True)):
            others[f"{one}, then {other}"] = (left, expected)

    assert others == {}
    assert await deadlocks(database_url) == 0
