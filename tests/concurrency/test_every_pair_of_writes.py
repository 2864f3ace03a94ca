"""Race: a write comes while a transaction that did another one is open: it is done or refused by name, no deadlock."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from livingworld import LivingWorld
from livingworld.errors import Conflict, NotFound, SerializationFailure
from tests.concurrency.last_writes import ALONE, WRITES, Write, furnish
from tests.concurrency.staging import backend_of, deadlocks, done_or_behind

#: `make soak` tries them all; a test run every so many.
STEP: Final = int(os.environ.get("LIVINGWORLD_PAIR_STEP", "13"))
PAIRS: Final = [(one, other) for one in WRITES if one not in ALONE for other in WRITES if other != "worlds.purge"]
PARTS: Final = 4


def is_refusal(end: BaseException) -> bool:
    """Return whether an error says that what was asked for is not there any more, or was changed."""
    return isinstance(end, NotFound | Conflict) and not isinstance(end, SerializationFailure)


async def end_of_the_second(first: Write, second: Write, url: str, livingworld: LivingWorld) -> object:
    """Return what becomes of a write that begins while a transaction with another one is open, and ends after it."""
    there = await furnish(livingworld)
    async with there.world.transaction() as tx:
        await first(replace(there, world=cast("Any", tx)))
        writing = asyncio.ensure_future(second(there))
        await done_or_behind(writing, url, await backend_of(tx))
    (result,) = await asyncio.gather(writing, return_exceptions=True)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
async def test_a_write_beside_another_is_done_or_refused_by_name(
    database_url: str, livingworld: LivingWorld, part: int
) -> None:
    ends = {
        f"{one}, then {other}": await end_of_the_second(WRITES[one], WRITES[other], database_url, livingworld)
        for one, other in PAIRS[part::PARTS][::STEP]
    }

    failed = {pair: end for pair, end in ends.items() if isinstance(end, BaseException) and not is_refusal(end)}
    assert failed == {}
    assert await deadlocks(database_url) == 0
