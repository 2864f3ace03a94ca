"""In an isolated database plain SQL finds, changes and makes nothing of another world, in any table."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import pytest

from livingworld.postgres.connections.scope import EVERY_TENANT, NO_WORLD
from livingworld.schema import metadata
from livingworld.testing.staged_races import Connection, connected
from tests.support.isolated import SET_SCOPE, Isolated, scoped

pytestmark = pytest.mark.xdist_group("plain SQL")  # what they share is made once

TABLES: Final = sorted(table.name for table in metadata.tables.values())


def on(table: str, statement: str) -> str:
    """Return a statement on THIS table."""
    return statement.replace("THIS", f"livingworld.{table}")


async def rows(owner: Connection, table: str, world_id: UUID) -> list[dict[str, Any]]:
    """Return the rows of a world as they are, seen by a superuser, whom nothing holds back."""
    found = await owner.fetch(on(table, "SELECT to_jsonb(t) AS row FROM THIS t WHERE world_id = $1"), world_id)
    return [json.loads(each["row"]) for each in found]


async def test_every_table_has_both_policies_and_they_hold_for_its_owner(isolated: Isolated) -> None:
    async with connected(isolated.roles.owner) as owner:
        found = await owner.fetch("""
            SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
                   array_agg(p.polname::text ORDER BY p.polname) AS policies
            FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
            WHERE c.relnamespace = 'livingworld'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                AND c.relname <> 'alembic_version'
            GROUP BY c.oid ORDER BY c.relname
        """)
        definers = await owner.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'livingworld'::regnamespace AND prosecdef"
        )

    assert [tuple(row) for row in found] == [(name, True, True, ["maintenance", "one_world"]) for name in TABLES]
    assert definers == []


async def test_plain_sql_finds_changes_and_makes_nothing_of_another_world(isolated: Isolated) -> None:
    filled = []
    async with (
        connected(isolated.roles.owner) as owner,
        scoped(isolated.roles.application, isolated.own) as application,
    ):
        for table in TABLES:
            own, other = [await rows(owner, table, world) for world in (isolated.own, isolated.other)]
            filled += [table] if other else []
            seen = await application.fetch(on(table, "SELECT world_id, count(*) AS rows FROM THIS GROUP BY 1"))
            assert [tuple(row) for row in seen] == ([(isolated.own, len(own))] if own else []), table
            await refuses_to_make(application, table, other)
            await finds_nothing_to_change(application, table, isolated.other)
            if own:
                await refuses(application, on(table, "UPDATE THIS SET world_id = $1"), isolated.other)

    assert len(filled) > len(TABLES) * 4 / 5, sorted(set(TABLES) - set(filled))


async def refuses_to_make(application: Connection, table: str, other: list[dict[str, Any]]) -> None:
    """Try to insert a row of another world."""
    row = json.dumps(other[0] if other else {"world_id": str(uuid4())})
    made = on(table, "INSERT INTO THIS SELECT * FROM jsonb_populate_record(NULL::THIS, $1::jsonb)")
    await refuses(application, made, row)


async def finds_nothing_to_change(application: Connection, table: str, other: UUID) -> None:
    changed = on(table, "UPDATE THIS SET world_id = world_id WHERE world_id = $1")
    assert await application.execute(changed, other) == "UPDATE 0"
    assert await application.execute(on(table, "DELETE FROM THIS WHERE world_id = $1"), other) == "DELETE 0"


async def refuses(application: Connection, statement: str, *arguments: object) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with application.transaction():
            await application.execute(statement, *arguments)


async def test_a_function_finds_nothing_of_another_world(isolated: Isolated) -> None:
    async with connected(isolated.roles.owner) as owner:
        (story,) = await rows(owner, "stories", isolated.other)
    locked = "SELECT livingworld.lock_stories_v1($1, true, ARRAY[$2]::uuid[])"
    for world, found in ((isolated.other, [UUID(story["story_id"])]), (isolated.own, None)):
        async with scoped(isolated.roles.application, world) as application:
            assert await application.fetchval(locked, isolated.other, story["story_id"]) == found


async def test_what_says_nothing_is_refused_and_does_not_find_less_than_there_is(isolated: Isolated) -> None:
    kinds = (asyncpg.UndefinedObjectError, asyncpg.InvalidTextRepresentationError)
    for url in (isolated.roles.application, isolated.roles.reader):
        async with connected(url) as connection:
            for table in TABLES:
                with pytest.raises(kinds, match=r'"livingworld\.|uuid: ""'):
                    await connection.fetch(on(table, "SELECT count(*) FROM THIS"))
                async with connection.transaction():  # from now on the settings exist, and are empty
                    await connection.execute(SET_SCOPE, str(NO_WORLD), EVERY_TENANT, "")


async def test_maintenance_is_for_the_owner(isolated: Isolated) -> None:
    async with scoped(isolated.roles.application, isolated.own, maintenance="on") as application:
        for table in TABLES:
            worlds = await application.fetch(on(table, "SELECT DISTINCT world_id FROM THIS"))
            assert {row["world_id"] for row in worlds} <= {isolated.own}, table
