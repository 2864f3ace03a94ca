"""Who holds what and who waits for whom is read from the server: of every session, by story, turn and request key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from livingworld import LivingWorld, LockReport, LockSession, NewScene, Settings, Story, World
from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.roles import made_roles
from livingworld.testing.staged_races import connected, holding, until_blocked
from tests.integration.contention.conftest import PATIENT
from tests.support.isolated import SOON, declared
from tests.support.patience import until
from tests.support.staging import THE_STORY, elsewhere, stop

pytestmark = pytest.mark.one_server("the report on contention sees the sessions of the node that is asked")


@asynccontextmanager
async def blocked(world: World, story: Story, url: str) -> AsyncIterator[int]:
    """Give the process of a raw session that holds a story, while a transaction of the application waits for it."""

    async def lock() -> None:
        async with world.transaction() as tx:
            await tx.stories.lock(story.id)

    async with holding(url, THE_STORY, [world.id, story.id]) as holder:
        waiter = asyncio.create_task(lock())
        try:
            await holder.until_blocked()
            yield holder.pid
        finally:
            await stop([waiter])


def session(report: LockReport, pid: int) -> LockSession:
    (found,) = [each for each in report.sessions if each.pid == pid]
    return found


async def test_a_wait_for_a_story_has_both_sides_and_the_story(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with blocked(world, story, database_url) as pid:
        report = await livingworld.locks()

    (chain,) = report.chains
    assert chain.root is not None
    assert (chain.root.pid, chain.root.state, chain.root.waits_for) == (pid, "idle in transaction", None)
    assert chain.root.statement == "SELECT stories"
    assert chain.root.tables == ("stories",)
    (waiter,) = chain.waiting
    lock = waiter.waits_for
    assert lock is not None
    assert (lock.kind, lock.table, lock.world_id, lock.story_id) == ("story", "stories", world.id, story.id)
    assert (waiter.statement, waiter.world_id, waiter.blocked_by) == ("SELECT stories", world.id, (pid,))
    assert waiter.waited is not None
    assert (report.cycles, report.missing) == ((), None)


async def test_a_wait_of_a_call_names_the_kind_of_a_name_without_a_row(
    database_url: str, livingworld: LivingWorld, world: World
) -> None:
    key = lock_key(LockKind.CHARACTER, world.id, "mara")
    async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [key]) as holder:
        making = asyncio.create_task(world.characters.get_or_create("Mara"))
        await holder.until_blocked()  # the call asks again on a connection that may wait, and says for what

        async def said() -> bool:
            # None between the prompt try, which waits for a moment, and the one that may wait.
            return [each.waiting[0].world_id for each in (await livingworld.locks()).chains] == [world.id]

        await until(said)
        (chain,) = (await livingworld.locks()).chains
    await making

    lock = chain.waiting[0].waits_for
    assert lock is not None
    assert (lock.kind, lock.type, lock.world_id, lock.key) == ("character", "advisory", world.id, {"advisory_key": key})


async def test_a_line_of_waiters_is_one_chain_with_the_root_first(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with blocked(world, story, database_url) as pid, connected(database_url) as second:
        asking = asyncio.create_task(second.execute(THE_STORY, world.id, story.id))
        async with connected(database_url) as observer:
            await until_blocked(observer, by=pid, count=2)
        (chain,) = (await livingworld.locks()).chains
        await stop([asking])

    assert chain.root is not None
    assert chain.root.pid == pid
    assert [each.waits_for.story_id for each in chain.waiting if each.waits_for] == [story.id] * 2
    assert chain.waiting[0].waited >= chain.waiting[1].waited  # type: ignore[operator]  # both wait


async def test_held_turns_stand_beside_the_locks_with_their_line(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with world.turns.take(story.id, request_key="r1", player="Mara") as turn:
        waiting = asyncio.create_task(world.turns.play(story.id, _write, request_key="r2", busy="queue"))

        async def in_line() -> bool:
            return bool((await livingworld.locks()).turns[0].line)

        await until(in_line)
        report = await livingworld.locks()
        await turn.commit(NewScene("One."))
    await waiting

    (held,) = report.turns
    assert (held.world_id, held.story_id, held.branch) == (world.id, story.id, 1)
    assert (held.request_key, held.player, held.line) == ("r1", "Mara", ("r2",))
    assert held.until.tzinfo is not None
    assert (await livingworld.locks()).turns == ()


async def _write(_: object) -> NewScene:
    return NewScene("Two.")


async def test_an_open_transaction_announces_its_world_and_no_longer_than_it_lasts(
    database_url: str, livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with elsewhere(world.transaction()) as tx:
        await tx.stories.lock(story.id)
        (open_one,) = (await livingworld.locks()).sessions

    assert (open_one.world_id, open_one.waits_for, open_one.tables) == (world.id, None, ("stories",))
    async with connected(database_url) as observer:
        names = await observer.fetch("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
    assert not [name for (name,) in names if str(world.id) in name]


async def test_as_the_application_the_report_says_what_is_not_shown_and_what_grants_it(
    database_url: str, world: World, story: Story
) -> None:
    async with (
        made_roles(database_url) as roles,
        LivingWorld.open(Settings.load(database_url=roles.application, **PATIENT)) as application,
    ):
        own = await application.worlds.get(world.id)
        async with blocked(own, story, database_url) as pid:
            report = await application.locks()

    holder = session(report, pid)
    assert (holder.state, holder.statement, holder.open_for) == (None, None, None)
    (waiter,) = report.chains[0].waiting
    assert waiter.waits_for is not None
    assert (waiter.waits_for.story_id, waiter.blocked_by) == (story.id, (pid,))
    assert report.missing is not None
    assert "GRANT pg_read_all_stats TO" in report.missing


async def test_where_a_transaction_sees_one_world_the_story_and_the_turn_are_found_in_theirs(database_url: str) -> None:
    async with made_roles(database_url) as roles:
        await isolate(database_url, on=True, lock_timeout=SOON)
        async with LivingWorld.open(declared(roles.application, **PATIENT)) as isolated:
            worlds = [await isolated.worlds.create(name) for name in ("Saltmarsh", "Hollow")]
            story = await worlds[0].stories.create("The Causeway")
            async with (
                worlds[0].turns.take(story.id, request_key="r1"),
                blocked(worlds[0], story, database_url),
            ):
                report = await isolated.locks()

    lock = report.chains[0].waiting[0].waits_for
    assert lock is not None
    assert (lock.world_id, lock.story_id) == (worlds[0].id, story.id)
    assert [(turn.world_id, turn.request_key) for turn in report.turns] == [(worlds[0].id, "r1")]
