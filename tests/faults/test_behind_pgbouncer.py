"""Every call says the same through PgBouncer in transaction mode, with two sessions for all, as without it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from livingworld import LivingWorld, Settings
from livingworld.postgres.connections.role_limits import missing_limits
from livingworld.testing.staged_races import connected
from tests.support.every_call import CALLS, carry_out
from tests.support.every_write import furnish
from tests.support.pooler import PGBOUNCER, keeps_statements, pooled
from tests.support.rotation import rotated

PARTS: Final = 2
#: A commit tries one of so many parts of the calls.
ROTATION: Final = 24
#: Waits for what nobody does here.
ENDLESS: Final = {"tasks.wait_cancelled"}


async def end_of(path: str, furnished: LivingWorld, through: LivingWorld) -> str:
    """Return what a call through one of two pools led to, in a world of its own."""
    there = await furnish(furnished)
    used = replace(there, livingworld=through, world=await through.worlds.get(there.world.id))
    (end,) = await asyncio.gather(carry_out(CALLS[path], {}, used), return_exceptions=True)
    return type(end).__name__


async def limit_sessions(database_url: str) -> None:
    """Let the database set every limit."""
    async with connected(database_url) as owner:
        name = await owner.fetchval("SELECT current_database()")
        for limit, value in (await missing_limits(owner, Settings.load())).items():
            await owner.execute(f"ALTER DATABASE \"{name}\" SET {limit} = '{value}'")


@pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer (Debian's package, which .ci/run installs)")
@pytest.mark.rotates
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("limits", ["transaction", "role"])
async def test_every_call_says_the_same_through_a_pooler(
    database_url: str, livingworld: LivingWorld, limits: str, part: int
) -> None:
    others = {}
    prepared = limits == "role" and keeps_statements()
    await limit_sessions(database_url)
    with pooled(database_url, sessions=2, **({"max_prepared_statements": 100} if prepared else {})) as url:
        settings = Settings.load(database_url=url, behind_pooler=True, limits=limits, prepared_statements=prepared)
        async with LivingWorld.open(settings) as through:
            for path in rotated(sorted(CALLS.keys() - ENDLESS), ROTATION)[part::PARTS]:
                ends = [await end_of(path, livingworld, each) for each in (livingworld, through)]
                if ends[0] != ends[1]:
                    others[path] = ends

    assert others == {}
