"""The answer to the COMMIT of any call is lost: it is stored as if carried out once, and no error denies that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

import pytest

from livingworld import LivingWorld
from livingworld.errors import CommitUnknown
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy, cut, protocol_proxy
from tests.support.every_call import CALLS, carry_out
from tests.support.every_write import furnish
from tests.support.rotation import rotated
from tests.support.stored_rows import comparable_rows_of

COMMIT: Final = "COMMIT;"
PARTS: Final = 2
#: A commit tries one of so many parts of the calls.
ROTATION: Final = 12
#: Waits for nobody; makes a world that no id leads to; takes a new token when its owner was cut off.
OTHERS: Final = {"tasks.wait_cancelled", "worlds.create", "cycles.run"}


@dataclass
class Stage:
    """A database, a LivingWorld on it, and another one behind a proxy."""

    url: str
    direct: LivingWorld
    through: LivingWorld
    proxy: ProtocolProxy


@pytest.fixture
async def stage(database_url: str, livingworld: LivingWorld) -> AsyncIterator[Stage]:
    async with (
        protocol_proxy(database_url) as proxy,
        LivingWorld.open(database_url=proxy.url) as through,
    ):
        yield Stage(database_url, livingworld, through, proxy)


async def carried_out(stage: Stage, path: str, *, losing: bool) -> tuple[BaseException | None, dict[str, list[str]]]:
    """Make a call in a world of its own; return its error and the rows that are there then."""
    there = await furnish(stage.direct)
    used = replace(there, livingworld=stage.through, world=await stage.through.worlds.get(there.world.id))
    stage.proxy.statements.clear()
    if losing:
        stage.proxy.at(Moment.AFTER, COMMIT, cut)
    (end,) = await asyncio.gather(carry_out(CALLS[path], {}, used), return_exceptions=True)
    stage.proxy.forget()
    return end, await comparable_rows_of(stage.url, there.world.id)


@pytest.mark.rotates
@pytest.mark.parametrize("part", range(PARTS))
async def test_a_call_whose_commit_nobody_was_told_of_is_carried_out_once(stage: Stage, part: int) -> None:
    wrong = {}
    for path in rotated(sorted(CALLS.keys() - OTHERS), ROTATION)[part::PARTS]:
        end, once = await carried_out(stage, path, losing=False)
        if not any(statement.startswith(COMMIT) for statement in stage.proxy.statements):
            continue
        lost, stored = await carried_out(stage, path, losing=True)
        differing = {table: (once[table], stored[table]) for table in once if once[table] != stored[table]}
        if differing or not (isinstance(lost, CommitUnknown) or type(lost) is type(end)):
            wrong[path] = (lost, differing)

    assert wrong == {}
