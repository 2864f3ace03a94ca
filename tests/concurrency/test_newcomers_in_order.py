"""Race: a turn with new names and a call that makes them lock the names in one order."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

from livingworld import NewScene, Story, World
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.testing.staged_races import holding
from tests.support.staging import deadlocks

LOCK = "SELECT pg_advisory_xact_lock($1)"


def in_opposite_orders(world: World) -> tuple[str, str]:
    """Return two names of which the first comes first in the alphabet, and last by the number of its lock."""
    pairs = permutations(["ada", "bea", "cid", "dot", "eve", "fay", "gil", "hal"], 2)
    return next((one, other) for one, other in pairs if one < other and key_of(world, one) > key_of(world, other))


def key_of(world: World, name: str) -> int:
    return lock_key(LockKind.CHARACTER, world.id, name)


async def take_a_turn(world: World, story: Story, cast: list[str]) -> Any:  # noqa: ANN401 - as gathered
    async with world.turns.take(story.id, request_key="k") as turn:
        return await turn.commit(NewScene("x", cast=cast))


async def test_a_turn_with_new_names_and_a_call_that_makes_them_never_deadlock(
    database_url: str, world: World, story: Story
) -> None:
    first, last = in_opposite_orders(world)
    async with holding(database_url, LOCK, [key_of(world, first)]) as holder:
        turn = asyncio.create_task(take_a_turn(world, story, [first, last]))
        await holder.until_blocked(count=1)
        making = asyncio.create_task(world.characters.get_or_create_many([first, last]))
        await holder.until_blocked(count=2)
    scene, made = await asyncio.gather(turn, making)

    assert {member.id for member in scene.cast} == {character.id for character, _ in made}
    assert await deadlocks(database_url) == 0
