"""Isolation is switched on and off, is kept by an upgrade, and no call notices it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import pytest

from livingworld import LivingWorld, Settings, errors
from livingworld.doctor import Doctor
from livingworld.postgres import migrations
from livingworld.postgres.connections.scope import MAINTAIN
from livingworld.schema import metadata
from livingworld.settings.database_url import parse_url
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.roles import made_roles
from livingworld.testing.staged_races import connected
from tests.support.every_call import CALLS, carry_out
from tests.support.every_write import Furnished, furnish
from tests.support.isolated import SOON, Isolated, declared

pytestmark = pytest.mark.xdist_group("switching isolation")  # what they share is made once

#: What has an owner, by its kind.
EVERYTHING: Final = """
    SELECT 'TABLE', c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace = 'livingworld'::regnamespace AND c.relkind = 'r'
    UNION ALL SELECT 'FUNCTION', p.oid::regprocedure::text FROM pg_proc p
    WHERE p.pronamespace = 'livingworld'::regnamespace
"""
TABLES: Final = sorted(table.name for table in metadata.tables.values())


@pytest.mark.rotates(parts=24)
@pytest.mark.parametrize("path", sorted(CALLS.keys() - {"tasks.wait_cancelled"}))
async def test_every_call_says_the_same_in_an_isolated_database(
    isolated: Isolated, livingworld: LivingWorld, path: str
) -> None:
    async with LivingWorld.open(declared(isolated.roles.application)) as walled:
        ends = [await end_of(path, await furnish(each)) for each in (livingworld, walled)]

    assert ends[0] == ends[1]


async def end_of(path: str, there: Furnished) -> str:
    """Return what a call led to."""
    try:
        await carry_out(CALLS[path], {}, there)
    except errors.LivingWorldError as error:
        return type(error).__name__
    return "done"


async def test_a_process_that_does_not_say_it_is_told_to(isolated: Isolated) -> None:
    async with LivingWorld.open(Settings.load(database_url=isolated.roles.application, row_security=False)) as untold:
        with pytest.raises(errors.RowSecurityUndeclared, match="LIVINGWORLD_ROW_SECURITY"):
            await untold.worlds.list()
        with pytest.raises(errors.RowSecurityUndeclared):
            await untold.worlds.get(isolated.own)


async def test_a_table_of_a_later_upgrade_is_isolated_too(database_url: str) -> None:
    await isolate(database_url, on=True, lock_timeout=SOON)
    async with connected(database_url) as owner:
        await owner.execute("CREATE TABLE livingworld.later (world_id uuid)")
        await migrations.upgrade(database_url)
        is_on = "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = 'livingworld.later'::regclass"
        assert await owner.fetchval(is_on) is True


async def test_isolation_can_be_switched_off_and_on_again(database_url: str) -> None:
    for on in (True, True, False, False, True):
        await isolate(database_url, on=on, lock_timeout=SOON)
        async with connected(database_url) as owner:
            walled = await owner.fetchval("SELECT count(*) FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
            policies = await owner.fetchval("SELECT count(*) FROM pg_policy")
        assert (walled, policies) == ((len(TABLES), 2 * len(TABLES)) if on else (0, 0))


async def test_the_doctor_says_where_isolation_is_not_whole(database_url: str) -> None:
    async with made_roles(database_url) as roles, connected(database_url) as owner:
        await isolate(database_url, on=True, lock_timeout=SOON)
        async with LivingWorld.open(declared(roles.application)) as livingworld:
            there = await furnish(livingworld)
        await owner.execute("UPDATE livingworld.stories SET last_scene_number = 1")
        async with Doctor.open(declared(roles.application)) as doctor:
            (counter,) = [found for found in await doctor.examine() if found.world_id is not None]
            assert (counter.world_id, (await doctor.repair(counter)).repaired) == (there.world.id, 1)
            await owner.execute("DROP POLICY one_world ON livingworld.scenes")
            await owner.execute("ALTER TABLE livingworld.turns NO FORCE ROW LEVEL SECURITY")
            await owner.execute("CREATE POLICY open ON livingworld.facts USING (true)")
            found = [found for found in await doctor.examine() if found.check == "isolation_incomplete"]
        assert [row["name"] for row in found[0].examples] == ["livingworld.facts", "scenes", "turns"]
        await isolate(database_url, on=True, lock_timeout=SOON)
        await owner.execute("DROP POLICY open ON livingworld.facts")
        async with Doctor.open(declared(roles.application)) as doctor:
            assert not [found for found in await doctor.examine() if found.check == "isolation_incomplete"]


@asynccontextmanager
async def owned_by_a_login(url: str) -> AsyncIterator[str]:
    """Give everything of the schema to a role that is no superuser, and its URL, until the block ends."""
    name = f"livingworld_test_{secrets.token_hex(6)}"
    async with connected(url) as superuser:
        await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'; ALTER SCHEMA livingworld OWNER TO {name}")
        try:
            for kind, each in await superuser.fetch(EVERYTHING):
                await superuser.execute(f"ALTER {kind} {each} OWNER TO {name}")
            yield parse_url(url).set(username=name, password=name).render_as_string(hide_password=False)
        finally:
            by_name = await superuser.fetchval("SELECT quote_ident(current_user)")  # CURRENT_USER crashes Citus 13.2
            await superuser.execute(f"REASSIGN OWNED BY {name} TO {by_name}")
            await superuser.execute(f"DROP OWNED BY {name}")
            await superuser.execute(f"DROP ROLE {name}")


async def test_the_owner_is_held_back_too_and_a_downgrade_counts_every_world(database_url: str) -> None:
    async with owned_by_a_login(database_url) as owner_url, connected(owner_url) as owner:
        await isolate(owner_url, on=True, lock_timeout=SOON)
        async with LivingWorld.open(declared(owner_url)) as livingworld:
            worlds = [await livingworld.worlds.create(name) for name in ("Saltmarsh", "Fen")]
            await worlds[0].stories.create("The Causeway")
            assert not (await worlds[1].stories.list()).items
        with pytest.raises(asyncpg.UndefinedObjectError):
            await owner.fetch("SELECT count(*) FROM livingworld.stories")
        async with owner.transaction():
            await owner.execute(MAINTAIN.text)
            assert await owner.fetchval("SELECT count(*) FROM livingworld.stories") == 1
        with pytest.raises(errors.DataWouldBeLost, match="worlds"):
            await migrations.downgrade(owner_url, "base")


async def test_whom_the_tables_are_given_to_is_let_through_once_it_is_switched_on_again(database_url: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        await (await livingworld.worlds.create("Saltmarsh")).stories.create("The Causeway")
    await isolate(database_url, on=True, lock_timeout=SOON)
    async with owned_by_a_login(database_url) as owner_url, connected(owner_url) as owner:
        async with Doctor.open(declared(owner_url)) as doctor:
            (found,) = [found for found in await doctor.examine() if found.check == "isolation_incomplete"]
        await isolate(owner_url, on=True, lock_timeout=SOON)
        async with owner.transaction():
            await owner.execute(MAINTAIN.text)
            assert await owner.fetchval("SELECT count(*) FROM livingworld.stories") == 1

    assert found.count == len(TABLES)
