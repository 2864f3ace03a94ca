"""What others hold does not stop an upgrade for ever, and an upgrade that waits for it stops nobody for long."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from livingworld import NewScene, Story, World
from livingworld.errors import MigrationBlocked
from livingworld.postgres import migrations
from livingworld.postgres.connections.one_connection import connected
from livingworld.postgres.upgrades import back_fill
from livingworld.postgres.upgrades.step import BRIEF
from livingworld.postgres.upgrades.turn import take_turn
from livingworld.testing import staged_races
from livingworld.testing.staged_races import Holder, holding
from tests.migrations.later_release import behind, fill
from tests.support.patience import NEVER, until

READ = "LOCK TABLE livingworld.scenes IN ACCESS SHARE MODE"
WRITE = "LOCK TABLE livingworld.scenes IN ROW EXCLUSIVE MODE"
INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('livingworld.ix_scenes_mood')"
BUILDERS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND state = 'active'"
HOLD_STORY = "SELECT 1 FROM livingworld.stories WHERE world_id = $1 AND story_id = $2 FOR UPDATE"
TONES = "SELECT count(*) FROM livingworld.stories WHERE tone IS NOT NULL"


@pytest.mark.usefixtures("later")
async def test_a_long_reader_is_let_be_and_writers_go_on_meanwhile(
    database_url: str, world: World, story: Story
) -> None:
    said: list[str] = []
    async with holding(database_url, READ) as reader:
        upgrade = asyncio.create_task(migrations.upgrade(database_url, tell=said.append))
        await reader.until_blocked()
        await world.stories.append_scene(story.id, NewScene("It queues behind the upgrade, which gives up."))
        await until(lambda: said, unless=upgrade)
        await reader.until_blocked()  # the next try
    await upgrade

    assert said[0] == f"column scenes.mood: gave up try 1 and lets others go first; in the way: {reader.pid}"
    assert await behind(database_url) == ()


@pytest.mark.usefixtures("later")
async def test_after_its_limit_it_names_the_step_and_who_is_in_the_way(database_url: str) -> None:
    async with holding(database_url, READ) as reader:
        with pytest.raises(MigrationBlocked) as blocked:
            await migrations.upgrade(database_url, lock_timeout=timedelta(milliseconds=100))

    assert (blocked.value.step, blocked.value.sessions) == ("column scenes.mood", (reader.pid,))
    assert await behind(database_url) == ("later_1", "later_2", "later_3")
    assert (await migrations.upgrade(database_url)).revisions == ["later_1", "later_2", "later_3"]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("by", ["table", "world"])
async def test_a_back_fill_leaves_a_held_row_for_later_and_holds_no_other_one(
    database_url: str, world: World, story: Story, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "world":  # as where tables are distributed
        monkeypatch.setattr(back_fill, "is_distributed", lambda _: True)
    await fill(database_url, scenes=100)
    await migrations.upgrade(database_url, "later_1")
    async with staged_races.connected(database_url) as connection:  # its build would wait for the holder's snapshot
        await connection.execute("CREATE INDEX ix_scenes_mood ON livingworld.scenes (world_id, mood)")
    async with holding(database_url, HOLD_STORY, [world.id, story.id]) as holder:
        upgrade = asyncio.create_task(migrations.upgrade(database_url))
        await until(lambda: _filled(holder, 2), unless=upgrade)
        other = await world.stories.create("Of the same batch")
        await world.stories.append_scene(other.id, NewScene("Nobody holds it."))
        assert not upgrade.done()
    await upgrade

    async with staged_races.connected(database_url) as connection:
        assert await connection.fetchval("SELECT tone FROM livingworld.stories WHERE story_id = $1", story.id)
        assert await connection.fetchval("SELECT count(*) FROM livingworld.stories WHERE tone IS NULL") == 0


async def _filled(holder: Holder, count: int) -> bool:
    return bool(await holder.observer.fetchval(TONES) >= count)


@pytest.mark.usefixtures("later")
async def test_who_waits_for_its_turn_does_not_stop_the_build_of_an_index(database_url: str) -> None:
    await migrations.upgrade(database_url, "later_1")
    async with connected(database_url) as waiting:
        async with holding(database_url, WRITE) as writer:
            upgrade = asyncio.create_task(migrations.upgrade(database_url))
            await writer.until_blocked()  # the build waits for the writer; the upgrade itself for nothing
            next_one = asyncio.create_task(take_turn(waiting, NEVER))
            await until(lambda: _waits_for_turn(writer), unless=next_one)
            assert await _snapshots(writer) <= 1, "only who waits keeps one, and the lock of the upgrader none"
        await upgrade
        await next_one


async def _waits_for_turn(holder: Holder) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return bool(await holder.observer.fetchval(waiting))


async def _snapshots(holder: Holder) -> int:
    """Return how many sessions beside the observer keep a snapshot."""
    kept = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
    """
    return int(await holder.observer.fetchval(kept))


@pytest.mark.usefixtures("later")
async def test_an_index_that_was_left_unfinished_is_built_again(database_url: str) -> None:
    await migrations.upgrade(database_url, "later_1")
    async with holding(database_url, WRITE) as writer:
        upgrade = asyncio.create_task(migrations.upgrade(database_url))
        (builder,) = await writer.until_blocked()
        await writer.observer.execute("SELECT pg_terminate_backend(CAST($1 AS integer))", builder)
        ended = await asyncio.gather(upgrade, return_exceptions=True)
        left = await writer.observer.fetchval(INDEX)
    await migrations.upgrade(database_url)
    async with staged_races.connected(database_url) as connection:
        built = await connection.fetchval(INDEX)

    assert isinstance(ended[0], Exception)
    assert (left, built) == (False, True)


def start(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program])


async def test_a_killed_upgrader_leaves_no_session_that_goes_on(database_url: str, later: Path) -> None:
    program = f"""
import asyncio
from pathlib import Path
from livingworld.postgres import migrations
migrations.script_location = lambda: Path({str(later)!r})
asyncio.run(migrations.upgrade({database_url!r}))
"""
    await migrations.upgrade(database_url, "later_1")
    async with holding(database_url, WRITE) as writer:
        with start(program) as upgrader:
            await writer.until_blocked(patience=timedelta(seconds=60))
            upgrader.kill()
        await until(lambda: _no_builder(writer))
    done = await migrations.upgrade(database_url)

    assert done.revisions == ["later_2", "later_3"]


async def _no_builder(holder: Holder) -> bool:
    return int(await holder.observer.fetchval(BUILDERS)) == 0


def test_a_step_waits_a_little_longer_than_an_autovacuum_needs_to_make_way() -> None:
    """PostgreSQL cancels one that somebody has waited for during deadlock_timeout, 1 s by default."""
    seconds = BRIEF.total_seconds()
    assert 1 < seconds < 1.5
