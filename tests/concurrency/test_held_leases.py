"""Leases of the application's own: one holder in the whole world, fenced by a token that only rises."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.errors import Fenced, InvalidInput, LeaseHeld
from livingworld.testing.staged_races import connected, holding
from tests.support.patience import patiently
from tests.support.staging import kinds, same_world
from tests.support.turn_checks import rows, until_found

THE_LEASE = "SELECT FROM livingworld.leases WHERE world_id = $1 AND name = $2 FOR UPDATE"
HOUR = timedelta(hours=1)
MOST_OF_THE_LEASE_GOES_BY = "UPDATE livingworld.leases SET expires_at = expires_at - interval '48 minutes'"
RENEWED = "SELECT FROM livingworld.leases WHERE expires_at > now() + interval '30 minutes'"


async def expire(url: str) -> None:
    await rows(url, "UPDATE livingworld.leases SET expires_at = now() - interval '1 second' RETURNING 1")


async def hold_for_a_moment(world: World, together: asyncio.Barrier | None = None) -> int:
    async with world.leases.hold("tide") as lease:
        if together is not None:
            await together.wait()
        return lease.token


async def test_one_holds_it_and_it_is_free_at_once_afterwards(database_url: str, world: World) -> None:
    async with world.leases.hold("tide") as lease, LivingWorld.open(database_url=database_url) as elsewhere:
        there = await elsewhere.worlds.get(world.id)
        with pytest.raises(LeaseHeld):
            await hold_for_a_moment(there)
        async with there.leases.hold("another"):
            pass
        assert not lease.lost.is_set()
    assert await hold_for_a_moment(world) == lease.token + 1
    with pytest.raises(ZeroDivisionError):
        async with world.leases.hold("tide"):
            raise ZeroDivisionError
    assert await hold_for_a_moment(world) == lease.token + 3


async def test_of_twelve_who_ask_at_once_one_holds_it(database_url: str, world: World) -> None:
    await hold_for_a_moment(world)
    leave = asyncio.Event()

    async def hold(each: World) -> int:
        async with each.leases.hold("tide") as lease:
            await leave.wait()
            return lease.token

    async with same_world(database_url, world.id, pools=4) as worlds:
        async with holding(database_url, THE_LEASE, [world.id, "tide"]) as holder:
            tasks = [asyncio.create_task(hold(worlds[number % 4])) for number in range(12)]
            await holder.until_blocked(count=12)
        done: set[asyncio.Task[int]] = set()
        while len(done) < 11:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done = {task for task in tasks if task.done()}
            await asyncio.sleep(0)
        leave.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)

    assert kinds(results) == ["LeaseHeld"] * 11 + ["int"]


async def test_a_holder_that_was_overtaken_cannot_write(database_url: str, world: World, story: Story) -> None:
    async with world.leases.hold("tide") as old:
        await expire(database_url)  # as if this process had been stopped for longer than the lease
        async with world.leases.hold("tide") as new:
            assert new.token == old.token + 1
            async with world.transaction() as tx:
                await tx.prove(new)
                await tx.stories.append_scene(story.id, NewScene("by the new one"))
            with pytest.raises(Fenced):
                async with world.transaction() as tx:
                    await tx.prove(old)
                    await tx.stories.append_scene(story.id, NewScene("by the old one"))
        with pytest.raises(Fenced):
            async with world.transaction() as tx:
                await tx.prove(old)

    assert (await world.stories.head(story.id)).story.scene_count == 1


async def test_a_holder_that_is_writing_is_not_overtaken(database_url: str, world: World, story: Story) -> None:
    async with world.leases.hold("tide") as lease, world.transaction() as tx:
        await tx.prove(lease)
        await expire_is_blocked(database_url)
        await tx.stories.append_scene(story.id, NewScene("in time"))

    assert (await world.stories.head(story.id)).story.scene_count == 1


async def expire_is_blocked(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("SET lock_timeout = '50ms'")
        with pytest.raises(Exception, match="lock timeout"):
            await connection.execute("UPDATE livingworld.leases SET token = token + 1")


async def test_a_lease_is_renewed_and_its_loss_is_told(database_url: str, world: World, renewed_often: None) -> None:
    async with world.leases.hold("tide", ttl=HOUR) as lease:
        for _ in range(4):
            await rows(database_url, MOST_OF_THE_LEASE_GOES_BY)
            await until_found(database_url, RENEWED)
            with pytest.raises(LeaseHeld):
                await hold_for_a_moment(world)
        assert not lease.lost.is_set()
        await rows(database_url, "UPDATE livingworld.leases SET owner = gen_random_uuid() RETURNING 1")
        async with patiently():
            await lease.lost.wait()

    assert len(await rows(database_url, "SELECT FROM livingworld.leases WHERE owner IS NOT NULL")) == 1


async def test_a_cancelled_try_leaves_no_lease(database_url: str, world: World) -> None:
    await hold_for_a_moment(world)
    async with holding(database_url, THE_LEASE, [world.id, "tide"]) as holder:
        task = asyncio.create_task(hold_for_a_moment(world))
        await holder.until_blocked(count=1)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await rows(database_url, "SELECT owner FROM livingworld.leases") == [(None,)]
    assert await hold_for_a_moment(world) > 1


async def test_bad_input_is_named(world: World) -> None:
    for name in ("", "\x00", 7):
        with pytest.raises(InvalidInput):
            async with world.leases.hold(name):  # type: ignore[arg-type]
                pass
    for ttl in (timedelta(0), timedelta(days=2), 30):
        with pytest.raises(InvalidInput):
            async with world.leases.hold("tide", ttl=ttl):  # type: ignore[arg-type]
                pass


async def test_equal_names_of_two_worlds_are_two_leases(livingworld: LivingWorld, world: World) -> None:
    other = await livingworld.worlds.create("Saltmarsh")
    both = asyncio.Barrier(2)
    tokens = await asyncio.gather(hold_for_a_moment(world, both), hold_for_a_moment(other, both))
    assert [*tokens] == [1, 1]
