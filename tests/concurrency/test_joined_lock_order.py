"""Calls of one transaction in any order: what is free is taken, a wait out of order is refused, nobody deadlocks."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from livingworld import LivingWorld, NewMemory, TransactionScope, errors
from livingworld.postgres.transactions.admission import outside
from livingworld.postgres.transactions.lock_order import LockKind
from tests.concurrency.joined_calls import JOINED, given_up, join
from tests.support.every_write import Furnished, furnish
from tests.support.rotation import rotated
from tests.support.staging import backend_of, deadlocks, done_or_behind

Call: TypeAlias = Callable[[TransactionScope, Furnished], Awaitable[Any]]
PAGE: Final = Path(__file__).parents[2] / "docs/decisions/2026-11-21-late-locks.md"
ROW: Final = re.compile(r"^\| `(.+?)` \| (.+?) \|$", re.MULTILINE)
PARTS: Final = 4
#: A commit tries one of so many parts of the pairs.
ROTATION: Final = 97
PAIRS: Final = [(first, second) for first in JOINED for second in JOINED]
#: Nobody waits for these: what they write is new, or they pass by what somebody else has in hand.
WAIT_FOR_NOBODY: Final = {
    *("stories.create", "sessions.open", "lore.add", "actions.claim", "locks.shared", "locks.try_exclusive"),
    *("tasks.take_over_dead", "tasks.fail_dead", "ai_models.samples.add_many", "live.publish", "live.publish, world"),
}
#: The last lane there is: whatever else is locked after it is late.
LAST_LANE: Final = "~"
#: What a call may be told because of what another one wrote before.
EXPECTED: Final = (errors.NotFound, errors.Conflict, errors.Refused)
WRITERS: Final = 6
TRANSACTIONS: Final = 25


async def told(name: str, there: Furnished, tx: TransactionScope) -> str:
    """Make a call in a transaction, and return "done" or the name of what refused it."""
    try:
        await join(name, there, tx)
    except EXPECTED as error:
        return type(error).__name__
    return "done"


def kinds_held(tx: TransactionScope) -> list[str]:
    order = tx._transaction.lock_order
    return [kind.name.lower() for kind in LockKind if order.held(kind)]


async def test_a_call_takes_the_locks_that_the_table_says(livingworld: LivingWorld) -> None:
    there = await furnish(livingworld)
    taken = {}
    for name in JOINED:
        async with given_up(there.world) as tx:
            await told(name, there, tx)
            taken[name] = ", ".join(kinds_held(tx)) or "none"

    assert taken == dict(ROW.findall(PAGE.read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.rotates
@pytest.mark.parametrize("part", range(PARTS))
async def test_two_calls_of_one_transaction_come_in_any_order(livingworld: LivingWorld, part: int) -> None:
    there = await furnish(livingworld)
    refused = []
    for pair in rotated(PAIRS, ROTATION)[part::PARTS]:
        async with given_up(there.world) as tx:
            if "LockOrderViolation" in [await told(name, there, tx) for name in pair]:
                refused.append(pair)

    assert refused == []


@pytest.mark.parametrize("part", range(PARTS))
async def test_what_somebody_else_has_is_refused_by_name_when_it_comes_late(
    livingworld: LivingWorld, part: int
) -> None:
    there = await furnish(livingworld)
    ends = {}
    for name in sorted(JOINED)[part::PARTS]:
        async with given_up(there.world) as other:
            await told(name, there, other)
            ends[name] = await asyncio.create_task(end_when_late(name, there), context=outside())

    late = {name: "done" if name in WAIT_FOR_NOBODY else "LockOrderViolation" for name in ends}
    assert ends == late


async def end_when_late(name: str, there: Furnished) -> str:
    """Make a call after one that locks what comes last; it does not wait for the lock timeout."""
    async with given_up(there.world) as tx:
        await tx.actions.limit_lane(LAST_LANE, 3)
        return await told(name, there, tx)


#: What one does first, what another one does then and waits with, and what the first one wants after that.
CIRCLES: Final[dict[str, tuple[Call, tuple[Call, Call], Call]]] = {
    "the embedder": (
        lambda tx, at: tx.memories.add(at.story.id, [NewMemory("It snowed.")]),
        (lambda tx, at: tx.sessions.heartbeat(at.session.id), lambda tx, _: tx.memories.use_embedder("hash", 8)),
        lambda tx, at: tx.sessions.heartbeat(at.session.id),
    ),
    "a lane that was claimed from": (
        lambda tx, _: tx.actions.claim(),
        (lambda tx, _: tx.actions.enqueue("a", "walk"), lambda tx, _: tx.actions.enqueue("waiting", "walk")),
        lambda tx, _: tx.actions.enqueue("a", "walk"),
    ),
    "a model without its role": (
        lambda tx, at: tx.ai_models.mark_validated(at.staged.id),
        (
            lambda tx, _: tx.ai_models.register("narrator", provider="local", name="x"),
            lambda tx, at: tx.ai_models.promote(at.staged.id),
        ),
        lambda tx, _: tx.ai_models.rollback("narrator"),
    ),
}


@pytest.mark.parametrize("circle", CIRCLES)
async def test_what_the_order_did_not_know_closes_no_circle(
    database_url: str, livingworld: LivingWorld, circle: str
) -> None:
    there = await furnish(livingworld)
    first, others, then = CIRCLES[circle]

    async def come_between() -> None:
        async with there.world.transaction() as tx:
            for call in others:
                await call(tx, there)

    async with given_up(there.world) as tx:
        await first(tx, there)
        between = asyncio.create_task(come_between(), context=outside())
        await done_or_behind(between, database_url, await backend_of(tx))
        assert not between.done(), "the other one waits"
        with pytest.raises(errors.LockOrderViolation):
            await then(tx, there)
    await between

    assert await deadlocks(database_url) == 0


@pytest.mark.slow
async def test_transactions_of_calls_in_a_random_order_never_deadlock(
    database_url: str, livingworld: LivingWorld
) -> None:
    there = await furnish(livingworld)
    chance = random.Random(7)
    names = [name for name in JOINED if "purge" not in name]
    orders = [[chance.sample(names, 4) for _ in range(TRANSACTIONS)] for _ in range(WRITERS)]
    ends: list[str] = []

    async def write(mine: list[list[str]]) -> None:
        for calls in mine:
            async with given_up(there.world) as tx:
                for name in calls:
                    ends.append(await told(name, there, tx))
                    if ends[-1] == "LockOrderViolation":
                        break

    await asyncio.gather(*map(write, orders))

    assert {"done", "LockOrderViolation"} <= set(ends)
    assert await deadlocks(database_url) == 0
