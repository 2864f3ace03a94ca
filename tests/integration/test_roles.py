"""What the application's role and the reader's may do, and that every call of a world works as the application's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
import pytest_asyncio
from pytest_postgresql.executors import NoopExecutor

from livingworld import InvalidInput, LivingWorld, NewScene, errors
from livingworld.doctor import Doctor
from livingworld.postgres import migrations
from livingworld.postgres.roles import make_roles, role_statements
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.roles import Roles, made_roles
from livingworld.testing.staged_races import connected
from tests.support.every_call import CALLS, carry_out
from tests.support.every_write import furnish

pytestmark = pytest.mark.xdist_group("roles")  # what they share is made once

UNPINNED = """
    SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'livingworld'::regnamespace
        -- A body that was read when the function was created looks no name up.
        AND p.prosqlbody IS NULL
        AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=pg_catalog, pg_temp')
"""
PUBLIC = """
    SELECT p.proname FROM pg_proc p
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
    WHERE p.pronamespace = 'livingworld'::regnamespace AND a.grantee = 0
"""
#: What neither role may do.
FORBIDDEN = (
    "CREATE TABLE livingworld.mine (id integer)",
    "CREATE TABLE public.mine (id integer)",
    "CREATE TEMP TABLE mine (id integer)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION livingworld.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE livingworld.scenes ADD COLUMN mine text",
    "ALTER TABLE livingworld.scenes DISABLE TRIGGER ALL",
    "DROP TABLE livingworld.scenes",
    "TRUNCATE livingworld.scenes",
    "CREATE INDEX ON livingworld.scenes (content)",
    "UPDATE livingworld.alembic_version SET version_num = '0001'",
    "DELETE FROM livingworld.alembic_version",
    "CREATE ROLE mine",
    "ALTER FUNCTION livingworld.append_scenes_v1 SECURITY DEFINER",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def roles(database_maker: DatabaseMaker, migrated_template: NoopExecutor) -> AsyncIterator[Roles]:
    """Give one database with its roles; each test works in a world of its own."""
    with database_maker.database(template=migrated_template.template_dbname) as url:
        async with made_roles(url) as made:
            yield made


#: Waits for what no other call does here.
ENDLESS: Final = {"tasks.wait_cancelled"}


async def refused(url: str, statement: str) -> None:
    async with connected(url) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_what_is_up_to_date_needs_no_owner_to_be_brought_there(roles: Roles) -> None:
    await migrations.upgrade_if_behind(roles.application)

    with pytest.raises(errors.MissingPrivilege):
        await migrations.upgrade(roles.application)


async def test_every_function_has_a_pinned_search_path_and_is_not_for_everybody(database_url: str) -> None:
    async with connected(database_url) as connection:
        assert await connection.fetch(UNPINNED) == []
        assert await connection.fetch(PUBLIC) == []
        assert await connection.fetchval("SELECT count(*) FROM pg_proc WHERE proname LIKE '%_v1'") > 30


@pytest.mark.rotates(parts=12)
@pytest.mark.parametrize("path", sorted(CALLS.keys() - ENDLESS))
async def test_every_call_works_as_the_application(roles: Roles, path: str) -> None:
    async with LivingWorld.open(database_url=roles.application) as livingworld:
        there = await furnish(livingworld)
        try:
            await carry_out(CALLS[path], {}, there)
        except errors.MissingPrivilege:
            raise
        except errors.LivingWorldError:
            return  # some calls are refused here, as they are for the owner


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_application_and_the_reader_change_no_table_and_no_revision(roles: Roles, statement: str) -> None:
    for url in (roles.application, roles.reader):
        await refused(url, statement)


async def test_a_reader_reads_everything_and_writes_nothing(roles: Roles) -> None:
    async with LivingWorld.open(database_url=roles.application) as livingworld:
        there = await furnish(livingworld)
    async with LivingWorld.open(database_url=roles.reader) as livingworld:
        world = await livingworld.worlds.get(there.world.id)
        assert (await world.stories.head(there.story.id)).scene is not None
        assert len(await world.facts.all(there.story.id)) == 1
        assert (await world.search.find("one")).items
        assert await world.memories.recent(there.story.id)
        await world.relationships.graph(there.story.id)
        with pytest.raises(errors.MissingPrivilege):
            await world.stories.append_scene(there.story.id, NewScene("Mine."))
        with pytest.raises(errors.MissingPrivilege):
            await livingworld.worlds.create("Mine")


async def test_a_stranger_reads_nothing(roles: Roles) -> None:
    name = f"livingworld_test_{secrets.token_hex(6)}"
    async with connected(roles.owner) as owner:
        await owner.execute(f"CREATE ROLE {name}")
        try:
            await owner.execute(f"SET ROLE {name}")
            for statement in ("TABLE livingworld.scenes", "SELECT livingworld.is_called_v1(NULL, NULL, NULL, NULL)"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await owner.execute(statement)
        finally:
            await owner.execute("RESET ROLE")
            await owner.execute(f"DROP ROLE {name}")  # by itself: Citus does the whole text on each node, and waits


async def test_the_doctor_examines_and_repairs_as_the_application(roles: Roles) -> None:
    async with LivingWorld.open(database_url=roles.application) as livingworld:
        there = await furnish(livingworld)
    async with connected(roles.owner) as owner:
        await owner.execute("UPDATE livingworld.stories SET last_scene_number = 1 WHERE world_id = $1", there.world.id)
    async with Doctor.open(database_url=roles.application) as doctor:
        (found,) = await doctor.examine(there.world.id)
        assert (await doctor.repair(found)).repaired == 1


async def test_what_a_later_upgrade_makes_is_the_applications_too(database_url: str) -> None:
    async with made_roles(database_url) as made, connected(database_url) as owner:
        await owner.execute("CREATE TABLE livingworld.later (world_id uuid)")
        async with connected(made.application) as application:
            await application.execute("INSERT INTO livingworld.later VALUES (gen_random_uuid())")
        await refused(made.reader, "DELETE FROM livingworld.later")


async def test_making_the_roles_again_or_at_once_changes_nothing(database_url: str) -> None:
    async with made_roles(database_url) as made:
        async with connected(made.application) as application:
            login = await application.fetchval("SELECT current_user")
        names = [str(login).replace(" application login", kind) for kind in (" application", " reader")]
        await asyncio.gather(*(make_roles(database_url, *names) for _ in range(4)))
        async with LivingWorld.open(database_url=made.application) as livingworld:
            await livingworld.worlds.create("Saltmarsh")


async def test_a_role_that_may_do_everything_is_refused(database_url: str) -> None:
    async with connected(database_url) as owner:
        superuser = await owner.fetchval("SELECT current_user")

    with pytest.raises(InvalidInput, match="application: is a superuser"):
        await make_roles(database_url, superuser, f"livingworld_test_{secrets.token_hex(6)}")


@pytest.mark.parametrize(
    ("application", "reader", "field"),
    [
        ("", "r", "application"),
        ("a", "x" * 64, "reader"),
        ("a", "a", "reader"),
        ("a\0", "r", "application"),
        ('a"; DROP ROLE b', "r", "application"),
        ("a", "it's", "reader"),
        ("$roles$", "r", "application"),
        ("100%", "r", "application"),
    ],
)
def test_a_name_that_is_no_role_is_refused_before_any_statement(application: str, reader: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        role_statements(application, reader)
    assert refusal.value.field == field
