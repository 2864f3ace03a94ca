"""Scripts swapped while others run them: a run never sees two versions, and a broken one changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from livingworld import LivingWorld, Settings, World
from livingworld.errors import ScriptInvalid, ScriptNotFound
from livingworld.observability import events
from livingworld.postgres import leases
from livingworld.testing.recorded_events import recorded_events
from tests.support.patience import NEVER, until
from tests.support.sent_statements import sent_statements
from tests.support.staging import same_world
from tests.support.turn_checks import rows, until_found

IT_LISTENS = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
NOTHING_RUNS = "SELECT 1 WHERE NOT EXISTS (SELECT FROM livingworld.script_executions)"
WRITES = ("INSERT INTO livingworld.script_executions", "DELETE FROM livingworld.script_executions")
MOST_OF_THE_LEASE_GOES_BY = "UPDATE livingworld.script_executions SET expires_at = expires_at - interval '48 minutes'"
RENEWED = "SELECT FROM livingworld.script_executions WHERE expires_at > now() + interval '30 minutes'"
EXECUTIONS = "SELECT name, version FROM livingworld.script_executions ORDER BY 1, 2"


@pytest_asyncio.fixture(params=[True, False], ids=["following", "reading"])
async def world(livingworld: LivingWorld, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Give a world with a script, once where the catalogue is followed, and once where it is not."""
    world = await livingworld.worlds.create("Saltmarsh")
    await world.scripts.publish("narrator", "v1")
    if not request.param:
        yield world
        return
    async with world.scripts.following():
        yield world


async def pinned_run(world: World, between: asyncio.Barrier) -> str:
    """Render twice, and let others publish between the two."""
    async with world.scripts.use("narrator") as script:
        first = script.render()
        await between.wait()
        await between.wait()
        return first + script.render()


async def naive_run(world: World, between: asyncio.Barrier) -> str:
    """Look for each step what is active then."""
    first = (await world.scripts.get("narrator")).body
    await between.wait()
    await between.wait()
    return first + (await world.scripts.get("narrator")).body


@pytest.mark.parametrize(("run", "trace"), [(pinned_run, "v1v1"), (naive_run, "v1v2")])
async def test_a_run_never_sees_two_versions(
    world: World, run: Callable[[World, asyncio.Barrier], Coroutine[Any, Any, str]], trace: str
) -> None:
    between, at_once = asyncio.Barrier(2), asyncio.Barrier(1)
    in_the_middle = asyncio.create_task(run(world, between))
    await between.wait()
    with pytest.raises(ScriptInvalid):
        await world.scripts.publish("narrator", "v2 {% if %}")
    after_the_broken = await run(world, at_once)
    await world.scripts.publish("narrator", "v2")
    await between.wait()

    assert [await in_the_middle, after_the_broken, await run(world, at_once)] == [trace, "v1v1", "v2v2"]


async def test_versions_tell_what_runs_where_and_since_when(database_url: str, world: World) -> None:
    async with same_world(database_url, world.id, pools=1) as (elsewhere,):
        async with world.scripts.use("narrator"), elsewhere.scripts.use("narrator"):
            await world.scripts.publish("narrator", "v2")
            async with world.scripts.use("narrator"), world.scripts.use("narrator"):
                new, old = (await world.scripts.versions("narrator")).items
        idle = (await world.scripts.versions("narrator")).items

    assert [len(each.executions) for each in (new, old)] == [1, 2]
    assert {each.process_id for each in old.executions} > {each.process_id for each in new.executions}
    assert old.executions[0].since <= old.executions[1].since <= new.executions[0].since
    assert all(each.pid and each.host for each in old.executions)
    assert (new.active_since is None, old.active_since is None) == (False, True)
    assert [each.executions for each in idle] == [(), ()]
    assert await rows(database_url, EXECUTIONS) == []


async def test_many_runs_at_once_are_one_row_and_two_writes(
    livingworld: LivingWorld, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sent_statements(monkeypatch, livingworld.worlds._process.background._engine)
    all_begun = asyncio.Barrier(20)

    async def run() -> str:
        async with world.scripts.use("narrator") as script:
            await all_begun.wait()
            return script.render()

    assert await asyncio.gather(*(run() for _ in range(20))) == ["v1"] * 20
    assert [sum(what in statement for statement in sent) for what in WRITES] == [1, 1]


async def test_who_is_cancelled_in_or_before_a_run_leaves_no_execution(database_url: str, world: World) -> None:
    async def run() -> None:
        async with world.scripts.use("narrator"):
            await asyncio.Event().wait()

    for awaits in range(12):
        running = asyncio.create_task(run())
        for _ in range(awaits):
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await until_found(database_url, NOTHING_RUNS)


async def test_the_catalogue_is_one_immutable_snapshot(livingworld: LivingWorld) -> None:
    world = await livingworld.worlds.create("Fen")
    await world.scripts.publish_all([world.scripts.check(name, "v1") for name in ("a", "b")])
    assert world.scripts.catalogue == {}
    async with world.scripts.following():
        before: Any = world.scripts.catalogue
        await world.scripts.publish_all([world.scripts.check(name, "v2") for name in ("a", "b")])
        after = world.scripts.catalogue
        with pytest.raises(TypeError):
            before["a"] = None
        assert {name: script.version for name, script in before.items()} == {"a": 1, "b": 1}
        assert {name: script.version for name, script in after.items()} == {"a": 2, "b": 2}
        async with world.scripts.following():
            pass
        assert world.scripts.catalogue is after
    assert world.scripts.catalogue == {}
    with pytest.raises(ScriptNotFound):
        async with world.scripts.following(), world.scripts.use("never"):
            pass


def demanding(body: str) -> str:
    """Take no text that is easy."""
    if "easy" in body:
        message = "too easy"
        raise ValueError(message)
    return body


@pytest_asyncio.fixture
async def riddles(livingworld: LivingWorld) -> World:
    """Give a world with two scripts, one of a kind that is read differently here and elsewhere."""
    world = await livingworld.worlds.create("Fen")
    world.scripts.register("riddle", demanding)
    await world.scripts.publish("first", "hard", kind="riddle")
    await world.scripts.publish("second", "v1")
    return world


async def publish_elsewhere(url: str, world: World) -> None:
    """Publish both scripts at once where riddles may be easy."""
    async with same_world(url, world.id, pools=1) as (elsewhere,):
        elsewhere.scripts.register("riddle", str)
        both = [("first", "easy", "riddle"), ("second", "v2", "jinja2")]
        await elsewhere.scripts.publish_all(
            [elsewhere.scripts.check(name, body, kind=kind) for name, body, kind in both]
        )


async def test_a_version_that_does_not_compile_here_leaves_the_whole_old_snapshot(
    database_url: str, riddles: World
) -> None:
    async with riddles.scripts.following():
        with recorded_events() as recorded:
            await publish_elsewhere(database_url, riddles)
            await until(lambda: riddles.scripts.refusal)
            kept = riddles.scripts.catalogue
            await riddles.scripts.publish("second", "v3")
            async with riddles.scripts.use("first") as script:
                assert script.render() == "hard"
        assert {name: each.version for name, each in kept.items()} == {"first": 1, "second": 1}
        assert riddles.scripts.catalogue is kept
        assert str(riddles.scripts.refusal) == "first 2: too easy"
        assert recorded.of(events.CATALOGUE_KEPT)[0] == {"world_id": str(riddles.id), "version": 2, "line": None}
        riddles.scripts.register("riddle", str)
        await until(lambda: riddles.scripts.refusal is None)
        assert {name: each.version for name, each in riddles.scripts.catalogue.items()} == {"first": 2, "second": 3}


async def test_a_process_that_cannot_compile_what_is_active_does_not_begin_to_follow(
    database_url: str, riddles: World
) -> None:
    await publish_elsewhere(database_url, riddles)

    with pytest.raises(ScriptInvalid, match="too easy"):
        async with riddles.scripts.following():
            raise AssertionError
    with pytest.raises(ScriptInvalid, match="too easy"):
        async with riddles.scripts.use("first"):
            raise AssertionError


async def test_another_process_is_told_at_once_and_polling_finds_the_rest(database_url: str, world: World) -> None:
    settings = Settings.load(database_url=database_url, poll_interval=NEVER, turn_lease=4 * NEVER)
    async with LivingWorld.open(settings) as other:
        there = await other.worlds.get(world.id)
        async with there.scripts.following():
            await until_found(database_url, IT_LISTENS)
            await world.scripts.publish("narrator", "v2")
            await until(lambda: there.scripts.catalogue["narrator"].version == 2)

    async with same_world(database_url, world.id, pools=1) as (polling,), polling.scripts.following():
        async with world.transaction() as tx:  # sends no notification
            await tx.scripts.rollback("narrator")
        await until(lambda: polling.scripts.catalogue["narrator"].version == 1)


@pytest.fixture
def renewed_often(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings with a lease of an hour, for which no machine is too slow, renewed ten times a second."""
    monkeypatch.setattr(leases, "RENEWALS", 36_000)
    return Settings.load(database_url=database_url, script_lease=timedelta(hours=1))


async def test_a_long_run_is_heard_of_beyond_its_lease(database_url: str, renewed_often: Settings) -> None:
    async with LivingWorld.open(renewed_often) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        await world.scripts.publish("narrator", "v1")
        async with world.scripts.use("narrator"):
            for _ in range(4):
                await rows(database_url, MOST_OF_THE_LEASE_GOES_BY)
                await until_found(database_url, RENEWED)
            assert len((await world.scripts.versions("narrator")).items[0].executions) == 1


async def test_a_run_that_was_counted_out_is_told_of_and_the_next_one_is_counted_in(
    database_url: str, renewed_often: Settings
) -> None:
    async with LivingWorld.open(renewed_often) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        await world.scripts.publish("narrator", "v1")
        with recorded_events() as recorded:
            async with world.scripts.use("narrator"):
                await rows(database_url, "DELETE FROM livingworld.script_executions")
                await until(lambda: recorded.of(events.EXECUTION_LOST))
                async with world.scripts.use("narrator"):
                    assert len((await world.scripts.versions("narrator")).items[0].executions) == 1
