from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url

from livingworld.errors import MigrationTimeout
from livingworld.postgres import migrations
from livingworld.postgres.upgrades import turn
from livingworld.testing.staged_races import Holder, holding
from tests.support.command import run_in_fork
from tests.support.patience import until

HOLD = "SELECT pg_advisory_xact_lock($1)"
ROOT = Path(__file__).parents[2]
REVISIONS = sorted((ROOT / "alembic" / "versions").glob("*.py"))


def replica(url: str) -> subprocess.Popen[str]:
    """Start `alembic upgrade head` in the checkout, as a process of its own."""
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    environment = {**os.environ, "LIVINGWORLD_DATABASE_URL": url}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


async def test_five_replicas_upgrade_at_once_and_one_works(empty_database_url: str) -> None:
    async with holding(empty_database_url, HOLD, [turn.LOCK_KEY]) as holder:
        replicas = [replica(empty_database_url) for _ in range(5)]
        await holder.until_blocked(count=5, patience=timedelta(seconds=60))
    outputs = [await asyncio.to_thread(process.communicate) for process in replicas]

    assert [process.returncode for process in replicas] == [0] * 5, outputs
    status = await migrations.status(empty_database_url)
    assert status.current == status.head


def upgrade(url: str, lock: str) -> None:
    """Upgrade, with another statement in the place of the lock."""
    turn.LOCK = lock  # type: ignore[misc]
    asyncio.run(migrations.upgrade(url))


async def process(url: str, lock: str) -> subprocess.CompletedProcess[str]:
    """Run an upgrade as a process of its own, a fork of one that has imported the library."""
    return await asyncio.to_thread(run_in_fork, partial(upgrade, url, lock), (), dict(os.environ))


@pytest.mark.parametrize(("lock", "succeed"), [(turn.LOCK, 2), ("SELECT CAST(:key AS bigint)", 1)])
async def test_without_the_lock_a_second_replica_fails(empty_database_url: str, lock: str, succeed: int) -> None:
    await migrations.upgrade(empty_database_url)
    await migrations.downgrade(empty_database_url, "base")
    the_version = "LOCK TABLE livingworld.alembic_version IN ACCESS EXCLUSIVE MODE"
    async with holding(empty_database_url, the_version) as holder:
        both = asyncio.gather(*(process(empty_database_url, lock) for _ in range(2)))
        if succeed == 1:
            await holder.until_blocked(count=2, patience=timedelta(seconds=60))
        else:
            await until(lambda: someone_waits_for_the_turn(holder))
    replicas = await both

    assert sum(replica.returncode == 0 for replica in replicas) == succeed, replicas


async def someone_waits_for_the_turn(holder: Holder) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return bool(await holder.observer.fetchval(waiting))


async def test_the_wait_for_another_one_is_bounded(empty_database_url: str) -> None:
    async with holding(empty_database_url, HOLD, [turn.LOCK_KEY]):
        with pytest.raises(MigrationTimeout):
            await migrations.upgrade(empty_database_url, lock_timeout=timedelta(milliseconds=100))

    await migrations.upgrade(empty_database_url)


async def test_a_schema_that_an_administrator_made_is_used(empty_database_url: str) -> None:
    name = f"migrator_{os.getpid()}"
    async with holding(empty_database_url, "SELECT 1") as holder:
        admin = holder.observer
        await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'm'")
        try:
            await admin.execute(f"CREATE SCHEMA livingworld AUTHORIZATION {name}")
            as_migrator = make_url(empty_database_url).set(username=name, password="m")
            await migrations.upgrade(as_migrator)
            status = await migrations.status(empty_database_url)
            assert status.current == status.head
        finally:
            await admin.execute(f"DROP OWNED BY {name} CASCADE")
            await admin.execute(f"DROP ROLE {name}")
