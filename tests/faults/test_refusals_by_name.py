"""What a real server refuses has a name that says what to do: rights, room, a standby, a deadlock, time."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import make_url, text

from livingworld import LivingWorld, NewLoreEntry, Settings, World, errors
from livingworld.embedded_server import EmbeddedServer
from livingworld.observability import events
from livingworld.postgres import migrations
from livingworld.testing.recorded_events import RecordedEvents, recorded_events
from livingworld.testing.staged_races import Connection, connected, until_blocked
from tests.support.staging import backend_of


@pytest.fixture
def recorded() -> Iterator[RecordedEvents]:
    with recorded_events() as entries:
        yield entries


@pytest_asyncio.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """Give a world that reaches its database directly, and has no patience with a server that is away."""
    async with LivingWorld.open(Settings.load(database_url=database_url, outage_retries=0)) as livingworld:
        yield await livingworld.worlds.create("Saltmarsh")


async def cross(world: World, observer: Connection) -> list[object]:
    """Let two transactions lock two things in opposite orders; each asks for its second once both have their first."""
    holding = asyncio.Barrier(2)

    async def block(number: int) -> int:
        first, second = (1, 2) if number else (2, 1)
        async with world.transaction() as tx:
            await tx._transaction.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
            await holding.wait()
            if number:  # the other one waits for this one already: now there is a circle
                await until_blocked(observer, by=await backend_of(tx))
            await tx._transaction.execute(text(f"SELECT pg_advisory_xact_lock({second})"))
        return number

    return list(await asyncio.gather(block(0), block(1), return_exceptions=True))


async def test_a_deadlock_is_a_conflict_and_an_event_of_its_own(
    database_url: str, world: World, recorded: RecordedEvents
) -> None:
    async with connected(database_url) as observer:
        ends = await cross(world, observer)

    assert sorted(type(end).__name__ for end in ends) == ["DeadlockDetected", "int"]
    assert issubclass(errors.DeadlockDetected, errors.Conflict)
    assert not issubclass(errors.DeadlockDetected, errors.SerializationFailure)
    assert len(recorded.of(events.DEADLOCK_BROKEN)) == 1


@pytest_asyncio.fixture
async def role(database_url: str) -> AsyncIterator[str]:
    """Give the URL of a role that has no rights."""
    name = f"livingworld_test_{secrets.token_hex(6)}"
    async with connected(database_url) as owner:
        await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
        try:
            yield make_url(database_url).set(username=name, password=name).render_as_string(hide_password=False)
        finally:
            await owner.execute(f"DROP OWNED BY {name}")
            await owner.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("grant", [None, "USAGE ON SCHEMA livingworld", "SELECT ON ALL TABLES IN SCHEMA livingworld"])
async def test_a_role_without_rights_gets_a_named_error(
    database_url: str, world: World, role: str, grant: str | None
) -> None:
    if grant is not None:
        async with connected(database_url) as owner:
            await owner.execute(f"GRANT {grant} TO {make_url(role).username}")

    async with LivingWorld.open(database_url=role) as livingworld:
        with pytest.raises(errors.MissingPrivilege):
            await livingworld.worlds.create("Elsewhere")


async def test_a_role_at_its_connection_limit_gets_a_named_error(database_url: str, world: World, role: str) -> None:
    async with connected(database_url) as owner:
        await owner.execute(f"ALTER ROLE {make_url(role).username} CONNECTION LIMIT 0")

    async with LivingWorld.open(Settings.load(database_url=role, outage_retries=0)) as livingworld:
        with pytest.raises(errors.TooManyConnections):
            await livingworld.worlds.list()


@pytest_asyncio.fixture
async def tiny_tablespace(database_url: str) -> AsyncIterator[str]:
    """Give a tablespace on a disk of its own that has four megabytes."""
    async with connected(database_url) as owner:
        with tiny_disk(Path(await owner.fetchval("SHOW data_directory"))) as place:
            name = f"tiny_{secrets.token_hex(6)}"
            await owner.execute(f"CREATE TABLESPACE {name} LOCATION '{place}'")
            yield name
            await owner.execute("ALTER TABLE livingworld.lore_entries SET TABLESPACE pg_default")
            await owner.execute(f"DROP TABLESPACE {name}")


@contextmanager
def tiny_disk(data: Path) -> Iterator[Path]:
    """Give a disk of four megabytes to the account that a server's data belongs to."""
    place = Path(tempfile.mkdtemp(prefix="livingworld-test-", dir="/tmp"))
    mount = ("mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place))
    if os.geteuid() != 0 or not data.exists() or subprocess.run(mount, check=False).returncode:
        place.rmdir()
        pytest.skip("a disk of four megabytes can be mounted by root only, beside the server")
    try:
        os.chown(place, data.stat().st_uid, -1)
        yield place
    finally:
        subprocess.run(("umount", "-l", str(place)), check=True)
        place.rmdir()


async def test_a_full_disk_is_a_named_error_and_reads_go_on(
    database_url: str, world: World, tiny_tablespace: str
) -> None:
    async with connected(database_url) as owner:
        await owner.execute(f"ALTER TABLE livingworld.lore_entries SET TABLESPACE {tiny_tablespace}")
        entries = [await world.lore.add(NewLoreEntry("It turns."))]
        with pytest.raises(errors.DiskFull) as raised:
            for _ in range(100):
                entry = await world.lore.add(NewLoreEntry(secrets.token_hex(50_000)))
                entries.append(entry)

        assert isinstance(raised.value, errors.ServerExhausted)
        assert {entry.id for entry in (await world.lore.list(limit=200)).items} == {entry.id for entry in entries}
        await owner.execute("ALTER TABLE livingworld.lore_entries SET TABLESPACE pg_default")
        await world.lore.add(NewLoreEntry(secrets.token_hex(50_000)))


@pytest.mark.as_owner("only a superuser may set temp_file_limit")
async def test_a_limit_of_temporary_files_is_a_named_error(world: World) -> None:
    async with world.transaction() as tx:
        await tx._transaction.execute(text("SET LOCAL temp_file_limit = '64kB'"))
        await tx._transaction.execute(text("SET LOCAL work_mem = '64kB'"))
        sort = text("SELECT count(*) FROM (SELECT n FROM generate_series(1, 200000) AS n ORDER BY -n OFFSET 0) AS x")
        with pytest.raises(errors.ServerExhausted):
            async with tx._transaction.savepoint():
                await tx._transaction.execute(sort)


@pytest.mark.direct_connection("the test changes a default of new sessions, and a pooler has some already")
async def test_a_read_only_database_is_a_named_error_and_can_be_read(database_url: str, world: World) -> None:
    async with connected(database_url) as owner:
        name = make_url(database_url).database
        await owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    async with LivingWorld.open(Settings.load(database_url=database_url, outage_retries=0)) as livingworld:
        with pytest.raises(errors.ServerReadOnly):
            await livingworld.worlds.create("Elsewhere")
        assert (await livingworld.worlds.get(world.id)).record.name == "Saltmarsh"


async def test_a_standby_is_a_named_error_and_can_be_written_once_it_is_promoted(own_server: EmbeddedServer) -> None:
    await migrations.upgrade(own_server.url())
    async with LivingWorld.open(database_url=own_server.url()) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
    own_server.stop()
    signal_file = own_server.data_directory / "standby.signal"
    signal_file.touch()
    shutil.chown(signal_file, own_server.data_directory.stat().st_uid)
    own_server.start()

    async with LivingWorld.open(Settings.load(database_url=own_server.url(), outage_retries=0)) as livingworld:
        with pytest.raises(errors.ServerReadOnly):
            await livingworld.worlds.create("Elsewhere")
        there = await livingworld.worlds.get(world.id)
        async with connected(own_server.url()) as administrator:
            assert await administrator.fetchval("SELECT pg_is_in_recovery()")
            assert await administrator.fetchval("SELECT pg_promote()")
        await there.stories.create("The Causeway")


async def test_a_server_that_stops_takes_no_new_connections_and_says_so(own_server: EmbeddedServer) -> None:
    await migrations.upgrade(own_server.url())
    postmaster = int((own_server.data_directory / "postmaster.pid").read_text().split()[0])
    async with connected(own_server.url()) as last:
        os.kill(postmaster, signal.SIGTERM)  # waits for the last session
        settings = Settings.load(database_url=own_server.url(), outage_retries=0)
        async with LivingWorld.open(settings) as livingworld:
            with pytest.raises(errors.ServerNotReady):
                await livingworld.worlds.list()
        assert await last.fetchval("SELECT 1")


@pytest.mark.direct_connection("it stages a pooler that was not declared")
@pytest.mark.parametrize("statement", ["DEALLOCATE ALL", "DISCARD ALL"])
async def test_a_missing_prepared_statement_names_the_pooler(database_url: str, world: World, statement: str) -> None:
    """A pooler sends the next statement to a session that did not prepare it; so does this, without one."""
    settings = Settings.load(database_url=database_url, pool_size=1)
    async with LivingWorld.open(settings) as livingworld:
        same = await livingworld.worlds.get(world.id)
        await same.stories.list()
        async with livingworld.worlds._database._single.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.execute(statement)

        with pytest.raises(errors.PoolerUndeclared):
            await same.stories.list()


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("53000", errors.ServerExhausted),
        ("53200", errors.ServerExhausted),
        ("25P03", errors.TransactionTimeout),
        ("25P04", errors.TransactionTimeout),
        ("XX001", errors.DataCorrupted),
        ("XX002", errors.DataCorrupted),
    ],
)
async def test_what_no_test_can_bring_about_has_its_name_too(
    world: World, sqlstate: str, kind: type[errors.LivingWorldError]
) -> None:
    with pytest.raises(kind):
        async with world.transaction() as tx:
            raising = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$"
            await tx._transaction.execute(text(raising))
