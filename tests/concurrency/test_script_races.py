"""Writers of one script at one moment: each decides under its row; and a version that is retired while it is begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewLoreEntry, World
from livingworld.errors import ScriptActive, ScriptInvalid, ScriptNotFound, ScriptRetired, StillRunning, VersionConflict
from livingworld.testing.staged_races import connected, holding, until_blocked
from tests.support.patience import NEVER, patiently
from tests.support.staging import backend_of, deadlocks, elsewhere, kinds, race, same_world, stop
from tests.support.turn_checks import rows

THE_SCRIPT: Final = "SELECT FROM livingworld.scripts WHERE world_id = $1 AND name = 'narrator' FOR UPDATE"
THE_VERSION: Final = """
    SELECT FROM livingworld.script_versions WHERE world_id = $1 AND name = 'narrator' AND version = 1 FOR UPDATE
"""
NEW_SCRIPT: Final = "INSERT INTO livingworld.scripts (world_id, name) VALUES ($1, 'narrator')"
VERSIONS: Final = "SELECT version FROM livingworld.script_versions WHERE name = 'narrator' ORDER BY version"
AT_ONCE: Final = timedelta(0)


@pytest_asyncio.fixture
async def narrator(world: World) -> World:
    """Give a world with a script of two versions; the second is active."""
    for body in ("v1", "v2"):
        await world.scripts.publish("narrator", body)
    return world


async def in_order(url: str, world: World, statement: str, calls: list[Any]) -> list[Any]:
    """Start the calls one after the other behind a row, each when the one before waits there."""
    tasks: list[asyncio.Task[Any]] = []
    try:
        async with holding(url, statement, [world.id]) as holder:
            for call in calls:
                tasks.append(asyncio.create_task(call))
                await holder.until_blocked(count=len(tasks))
        async with patiently():
            return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await stop(tasks)


@asynccontextmanager
async def unaware(url: str, world: World, **settings: object) -> AsyncIterator[World]:
    """Follow the scripts in a process that gets no notification and hardly ever looks."""
    deaf = {"behind_pooler": True, "poll_interval": NEVER, "turn_lease": 4 * NEVER} | settings
    async with same_world(url, world.id, pools=1, **deaf) as (elsewhere,), elsewhere.scripts.following():
        yield elsewhere


@pytest.mark.parametrize("statement", [NEW_SCRIPT, THE_SCRIPT], ids=["new script", "known script"])
async def test_of_eight_publishers_each_has_a_version_of_its_own(
    database_url: str, world: World, statement: str
) -> None:
    if statement == THE_SCRIPT:
        await world.scripts.publish("narrator", "the first")
    async with same_world(database_url, world.id, pools=2) as worlds:
        publishers = [worlds[n % 2].scripts.publish("narrator", f"text {n}") for n in range(8)]
        results = await race(database_url, statement, [world.id], publishers, blocked=8)

    assert kinds(results) == ["ScriptVersion"] * 8
    first = 2 if statement == THE_SCRIPT else 1
    assert sorted(each.version for each in results if not isinstance(each, BaseException)) == [*range(first, first + 8)]
    assert await rows(database_url, VERSIONS) == [(n,) for n in range(1, first + 8)]
    bodies = {(await world.scripts.get("narrator", n)).body for n in range(first, first + 8)}
    assert bodies == {f"text {n}" for n in range(8)}
    (head,) = (await world.scripts.list()).items
    assert head.active_version == head.last_version == head.activation == first + 7


async def test_of_eight_who_publish_one_text_one_version_comes(database_url: str, world: World) -> None:
    publishers = [world.scripts.publish("narrator", "the same") for _ in range(8)]
    results = await race(database_url, NEW_SCRIPT, [world.id], publishers, blocked=8)

    assert [getattr(each, "version", each) for each in results] == [1] * 8


@pytest.mark.parametrize("expected", [0, 2])
async def test_of_two_who_expect_the_same_version_one_wins(database_url: str, narrator: World, expected: int) -> None:
    name, statement = ("narrator", THE_SCRIPT) if expected else ("other", NEW_SCRIPT.replace("narrator", "other"))
    publishers = [narrator.scripts.publish(name, f"text {n}", expected_version=expected) for n in range(2)]
    results = await race(database_url, statement, [narrator.id], publishers, blocked=2)

    assert kinds(results) == ["ScriptVersion", "VersionConflict"]
    (conflict,) = (each for each in results if isinstance(each, VersionConflict))
    assert (conflict.expected, conflict.actual) == (expected, expected + 1)
    assert (await narrator.scripts.get(name)).version == expected + 1


async def test_of_two_who_roll_back_from_a_version_one_does(database_url: str, narrator: World) -> None:
    await narrator.scripts.publish("narrator", "v3")
    calls = [narrator.scripts.rollback("narrator", expected_version=3) for _ in range(2)]
    results = await race(database_url, THE_SCRIPT, [narrator.id], calls, blocked=2)

    assert kinds(results) == ["ScriptVersion", "VersionConflict"]
    assert (await narrator.scripts.get("narrator")).version == 2


async def test_of_an_activation_and_a_retirement_the_first_decides(database_url: str, narrator: World) -> None:
    activated, refused = await in_order(
        database_url,
        narrator,
        THE_SCRIPT,
        [narrator.scripts.activate("narrator", 1), narrator.scripts.retire("narrator", 1)],
    )
    assert activated.version == 1
    assert isinstance(refused, ScriptActive)

    retired, refused = await in_order(
        database_url,
        narrator,
        THE_SCRIPT,
        [narrator.scripts.retire("narrator", 2), narrator.scripts.activate("narrator", 2)],
    )
    assert retired.state == "retired"
    assert isinstance(refused, ScriptRetired)


async def use(world: World, leave: asyncio.Event) -> int:
    async with world.scripts.use("narrator") as script:
        await leave.wait()
        return script.version


async def test_a_version_that_was_begun_before_it_is_retired_is_waited_for(database_url: str, world: World) -> None:
    leave = asyncio.Event()
    await world.scripts.publish("narrator", "v1")
    async with unaware(database_url, world) as elsewhere:
        await world.scripts.publish("narrator", "v2")
        async with holding(database_url, THE_VERSION, [world.id]) as holder:
            using = asyncio.create_task(use(elsewhere, leave))
            await holder.until_blocked(count=1)
            retiring = asyncio.create_task(world.scripts.retire("narrator", 1, timeout=AT_ONCE))
            await holder.until_blocked(count=2)
        with pytest.raises(StillRunning) as refused:
            await retiring
        (runner,) = refused.value.executions
        assert runner == (await world.scripts.versions("narrator")).items[1].executions[0]
        leave.set()
        assert await using == 1
        assert (await world.scripts.retire("narrator", 1, timeout=AT_ONCE)).state == "retired"


async def test_a_version_that_is_retired_before_it_is_begun_makes_room_for_the_active_one(
    database_url: str, world: World
) -> None:
    leave = asyncio.Event()
    leave.set()
    await world.scripts.publish("narrator", "v1")
    async with unaware(database_url, world) as elsewhere:
        await world.scripts.publish("narrator", "v2")
        retired, used = await in_order(
            database_url, world, THE_VERSION, [world.scripts.retire("narrator", 1), use(elsewhere, leave)]
        )

    assert (retired.state, used) == ("retired", 2)


def old_fashioned(body: str) -> str:
    """Take nothing but the first text."""
    if body != "v1":
        raise ValueError(body)
    return body


async def test_who_runs_a_version_that_is_being_retired_does_not_begin_it_again(
    database_url: str, world: World
) -> None:
    world.scripts.register("style", str)
    await world.scripts.publish("narrator", "v1", kind="style")
    async with same_world(database_url, world.id, pools=1, script_lease=NEVER) as (elsewhere,):
        elsewhere.scripts.register("style", old_fashioned)
        async with elsewhere.scripts.following(), elsewhere.scripts.use("narrator"):
            await world.scripts.publish("narrator", "v2", kind="style")
            with pytest.raises(StillRunning):
                await world.scripts.retire("narrator", 1, timeout=AT_ONCE)
            with pytest.raises(ScriptInvalid):  # what is active now, and does not compile there
                async with patiently():
                    while True:
                        async with elsewhere.scripts.use("narrator") as script:
                            assert script.version == 1
                        await asyncio.sleep(0)
            assert elsewhere.scripts.catalogue["narrator"].version == 1
        assert (await world.scripts.retire("narrator", 1, timeout=AT_ONCE)).state == "retired"


async def test_a_retirement_hears_of_the_end_of_the_last_run_without_polling(database_url: str) -> None:
    settings = {"poll_interval": NEVER, "turn_lease": 4 * NEVER}
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        await world.scripts.publish("narrator", "v1")
        async with same_world(database_url, world.id, pools=1, **settings) as (retirer,):
            async with world.scripts.use("narrator"):
                await world.scripts.publish("narrator", "v2")
                retiring = asyncio.create_task(retirer.scripts.retire("narrator", 1))
                while (await world.scripts.get("narrator", 1)).state != "retiring":
                    assert not retiring.done()
                async with connected(database_url) as observer:
                    while not await observer.fetchval(
                        "SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                    ):
                        assert not retiring.done()
            assert (await retiring).state == "retired"


async def test_an_activation_takes_the_mark_of_retirement_away(narrator: World) -> None:
    await narrator.scripts.activate("narrator", 1)
    async with narrator.scripts.use("narrator"):
        await narrator.scripts.activate("narrator", 2)
        with pytest.raises(StillRunning):
            await narrator.scripts.retire("narrator", 1, timeout=AT_ONCE)
        waiting = asyncio.create_task(narrator.scripts.retire("narrator", 1))
        await asyncio.sleep(0)
        assert (await narrator.scripts.activate("narrator", 1)).state == "ready"
        with pytest.raises(ScriptActive):
            await waiting


async def test_a_world_is_purged_behind_a_transaction_that_published_and_comes_to_need_the_world(
    database_url: str, livingworld: LivingWorld, narrator: World
) -> None:
    async with connected(database_url) as observer, elsewhere(narrator.transaction()) as tx:
        await tx.scripts.publish_all([narrator.scripts.check("narrator", "v3")])
        writer = await backend_of(tx)
        purge = asyncio.create_task(livingworld.worlds.purge(narrator.id))
        await until_blocked(observer, by=writer)
        await tx.lore.add(NewLoreEntry("The lamp.", ["lamp"]))
    await purge

    for table in ("scripts", "script_versions", "script_activations", "script_executions"):
        assert await rows(database_url, f"SELECT 1 FROM livingworld.{table}") == []  # noqa: S608 - our own names
    assert await deadlocks(database_url) == 0
    with pytest.raises(ScriptNotFound):
        await narrator.scripts.get("narrator")


async def test_a_look_that_was_held_up_brings_no_older_version_back(database_url: str, narrator: World) -> None:
    activate = "UPDATE livingworld.scripts SET active_version = $1"
    await narrator.scripts.activate("narrator", 1)
    async with unaware(database_url, narrator) as elsewhere:
        catalogue = elsewhere.scripts._catalogue
        await asyncio.sleep(0)  # the follower begins its first look
        await catalogue.catch_up()  # and this one comes after it
        await rows(database_url, activate, 2)
        async with holding(database_url, "LOCK TABLE livingworld.script_versions") as holder:
            early = asyncio.create_task(catalogue.catch_up())
            await holder.until_blocked()
            await rows(database_url, activate, 1)
            late = asyncio.create_task(catalogue.catch_up())
            await asyncio.wait([late], timeout=0.3)
        await asyncio.gather(early, late)
        assert elsewhere.scripts.catalogue["narrator"].version == 1
