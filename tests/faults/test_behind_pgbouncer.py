"""Every call says the same through PgBouncer in transaction mode, with two sessions for all, as without it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from livingworld import LivingWorld, Settings
from tests.support.every_call import CALLS, carry_out
from tests.support.every_write import furnish
from tests.support.pooler import PGBOUNCER, pooled
from tests.support.rotation import rotated

PARTS: Final = 2
#: A commit tries one of so many parts of the calls.
ROTATION: Final = 12
#: Waits for what nobody does here.
ENDLESS: Final = {"tasks.wait_cancelled"}


async def end_of(path: str, furnished: LivingWorld, through: LivingWorld) -> str:
    """Return what a call through one of two pools led to, in a world of its own."""
    there = await furnish(furnished)
    used = replace(there, livingworld=through, world=await through.worlds.get(there.world.id))
    (end,) = await asyncio.gather(carry_out(CALLS[path], {}, used), return_exceptions=True)
    return type(end).__name__


@pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer (Debian's package, which .ci/run installs)")
@pytest.mark.rotates
@pytest.mark.parametrize("part", range(PARTS))
async def test_every_call_says_the_same_through_a_pooler(
    database_url: str, livingworld: LivingWorld, part: int
) -> None:
    others = {}
    with pooled(database_url, sessions=2) as url:
        async with LivingWorld.open(Settings.load(database_url=url, behind_pooler=True)) as through:
            for path in rotated(sorted(CALLS.keys() - ENDLESS), ROTATION)[part::PARTS]:
                ends = [await end_of(path, livingworld, each) for each in (livingworld, through)]
                if ends[0] != ends[1]:
                    others[path] = ends

    assert others == {}
