"""`livingworld db distribute` on a filled database: no row is lost, wherever it is interrupted."""

from __future__ import annotations

import contextlib
import itertools
import random
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Self

import psycopg
import pytest

from livingworld import LivingWorld, NewScene
from livingworld.errors import LivingWorldError
from livingworld.postgres import migrations
from livingworld.postgres.distribution.distributing import Standing, distribute, standing
from livingworld.postgres.distribution.steps import reference_tables
from livingworld.schema import metadata
from livingworld.settings.settings import Settings
from livingworld.story.worlds.isolation import isolate
from tests.integration import test_distributed_statements as calls
from tests.integration.bundles import full_world
from tests.integration.distributed_coordination import use_sessions
from tests.integration.distributed_live import use_live
from tests.integration.test_on_citus import URL
from tests.support.citus_cluster import ClusterMaker, maker_on_the_cluster
from tests.support.every_write import furnish
from tests.support.isolated import SOON

pytestmark = pytest.mark.skipif(not URL, reason="LIVINGWORLD_CITUS_URL names no distributed database")
SETTINGS = Settings.load(database_url="postgresql://postgres@ignored/ignored")
TABLES = sorted({table.name for table in metadata.sorted_tables} | reference_tables(metadata))
WORLDS = 1
#: Rows of tables that are empty when nobody is at work.
LEFT_BY_THE_DEAD = (
    """INSERT INTO livingworld.turn_waiters
        (world_id, story_id, branch_number, ticket, owner, request_key, request_hash, expires_at)
    SELECT world_id, story_id, 1, 1, gen_random_uuid(), 'k', 'h', now() FROM livingworld.stories WHERE world_id = %s""",
    """INSERT INTO livingworld.script_executions
        (world_id, name, version, execution_id, process_id, host, pid, expires_at)
    SELECT world_id, name, version, gen_random_uuid(), gen_random_uuid(), 'h', 1, now()
    FROM livingworld.script_versions WHERE world_id = %s""",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterMaker]:
    with maker_on_the_cluster() as maker:
        yield maker


@pytest.fixture
def undistributed_url(cluster: ClusterMaker) -> Iterator[str]:
    with cluster.undistributed(f"livingworld_test_{secrets.token_hex(6)}") as url:
        yield url


def plainly(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+asyncpg", ""), autocommit=True)


async def fill(url: str) -> None:
    await migrations.upgrade(url)
    async with full_world.opened(url) as livingworld:
        for number in range(WORLDS):
            await full_world.fill(livingworld)
            await furnish(livingworld)
            for use in (calls.use_turns_and_branches, use_live, use_sessions):
                await use(await livingworld.worlds.create(f"Saltmarsh {number}"))
        story = await (world := await livingworld.worlds.create("Saltmarsh")).stories.create("The Causeway")
        await world.stories.append_scene(story.id, NewScene("Nobody has indexed its words."))
        await world.scripts.publish("narrator", "one")
    with plainly(url) as connection:
        for statement in LEFT_BY_THE_DEAD:
            connection.execute(statement, (world.id,))


def digests(url: str) -> dict[str, tuple[int, str]]:
    """Return how many rows each table has, and a digest of all that is in them."""
    found = {}
    with plainly(url) as connection:
        for table in TABLES:
            rows = connection.execute(f"SELECT CAST(t AS text) FROM livingworld.{table} t").fetchall()  # noqa: S608
            found[table] = (len(rows), str(hash(tuple(sorted(rows)))))
    return found


async def distributed(url: str, report: object = lambda _: None) -> Standing:
    return await distribute(url, metadata, SETTINGS, shards=4, report=report)  # type: ignore[arg-type]


async def assert_whole(url: str, before: dict[str, tuple[int, str]]) -> None:
    found = await standing(url, metadata, SETTINGS)
    assert (found.is_distributed, found.missing) == (True, ())
    assert digests(url) == before
    async with LivingWorld.open(database_url=url) as livingworld:
        await calls.use_turns_and_branches(await livingworld.worlds.create("Fen"))


async def test_every_row_of_a_filled_database_is_there_afterwards(undistributed_url: str) -> None:
    await fill(undistributed_url)
    before = digests(undistributed_url)
    assert [table for table, (count, _) in before.items() if count == 0] == []

    assert (await distributed(undistributed_url)).missing == ()

    await assert_whole(undistributed_url, before)


async def test_a_database_that_shows_one_world_is_not_distributed(undistributed_url: str) -> None:
    await migrations.upgrade(undistributed_url)
    await isolate(undistributed_url, on=True, lock_timeout=SOON)

    found = await distributed(undistributed_url)

    assert not found.is_distributed
    assert [line for line in found.refused if "row-level security" in line] != []


class Interrupted(Exception):  # noqa: N818
    """The process ends here."""


async def test_a_run_that_ends_before_each_step_goes_on_in_the_next(undistributed_url: str) -> None:
    await fill(undistributed_url)
    before = digests(undistributed_url)
    runs = 0
    for _ in itertools.count():
        count = itertools.count()

        def end_before_the_second(_: str, count: Iterator[int] = count) -> None:
            if next(count) == 1:
                raise Interrupted

        try:
            await distributed(undistributed_url, end_before_the_second)
            break
        except Interrupted:
            runs += 1
            assert digests(undistributed_url) == before

    assert runs > len(TABLES)
    await assert_whole(undistributed_url, before)


async def test_a_session_that_is_killed_in_each_step_leaves_it_for_the_next_run(undistributed_url: str) -> None:
    await fill(undistributed_url)
    before = digests(undistributed_url)
    killed, found = 0, None
    while found is None or found.missing:
        with contextlib.suppress(LivingWorldError), Killer(undistributed_url) as killer:
            found = await distributed(undistributed_url, killer)
        killed += killer.killed

    assert killed > len(TABLES)
    assert digests(undistributed_url) == before
    await assert_whole(undistributed_url, before)


SESSIONS_OF_US = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend' AND application_name NOT LIKE 'citus%'
"""


class Killer:
    """Kills the session that distributes at some moment of its second step."""

    def __init__(self, url: str) -> None:
        self.url, self.killed, self.steps = url, 0, 0
        self.thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.thread is not None:
            self.thread.join()

    def __call__(self, _: str) -> None:
        self.steps += 1
        if self.steps == 2:
            self.thread = threading.Thread(target=self.kill, args=(random.random() * 0.04,))
            self.thread.start()

    def kill(self, after: float) -> None:
        time.sleep(after)
        with plainly(self.url) as connection:
            self.killed += int(connection.execute(SESSIONS_OF_US).fetchone()[0] > 0)  # type: ignore[index]
