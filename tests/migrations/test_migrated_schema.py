from __future__ import annotations

import re
from typing import Any

import asyncpg
import pytest
from render_sql import FOLDER, function_sources, render_function, rendered_files
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld.postgres import migrations
from livingworld.postgres.migration_text import in_order
from livingworld.schema import metadata
from livingworld.story.memories.vector_similarity import provision_vectors
from livingworld.testing.staged_races import connected
from tests.migrations.catalogs import catalog


async def create_from_tables(url: str) -> None:
    """Make the schema as the tables say, without any migration."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA livingworld"))
        await connection.execute(text("CREATE TABLE livingworld.alembic_version ()"))
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(provision_vectors)
    await engine.dispose()
    async with connected(url) as plain:
        for function in in_order(render_function(path.read_text()) for path in function_sources()):
            await plain.execute(function)


async def test_the_migrated_database_is_what_the_tables_say(database_url: str, empty_database_url: str) -> None:
    await create_from_tables(empty_database_url)
    migrated, made = await catalog(database_url), await catalog(empty_database_url)

    for kind in made:
        assert migrated[kind] == made[kind], kind
    assert len(made["constraints"]) > 40
    assert made["triggers"] == {}


async def test_a_shard_of_citus_is_no_difference(database_url: str) -> None:
    async with connected(database_url) as connection:
        await connection.execute("CREATE TABLE livingworld.scenes_102083 (LIKE livingworld.scenes INCLUDING ALL)")
        await connection.execute("CREATE TABLE livingworld.scenes_of_another (number integer)")

    assert await migrations.check(database_url, metadata) == [
        "table livingworld.scenes_of_another is not of this release"
    ]


def test_the_migrations_carry_the_functions_as_the_rooms_have_them() -> None:
    """`make migrations` was not forgotten. The tables are compared where PostgreSQL says what they are."""
    carried = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.glob("*/*.sql")}
    rendered = rendered_files()

    assert carried.keys() == rendered.keys()
    assert [name for name in carried if "_v" in name and carried[name] != rendered[name]] == []


def test_a_revision_uses_only_what_came_before_it() -> None:
    """PL/pgSQL looks up what it calls when it runs: a function that comes too early is created without an error."""
    made_in = {
        name: file.partition("/")[0]
        for file, sql in rendered_files().items()
        for name in re.findall(r"^CREATE (?:TABLE|FUNCTION) livingworld\.(\w+)", sql, re.MULTILINE)
    }
    named = [
        (file, name, made_in[name])
        for file, sql in rendered_files().items()
        for name in re.findall(r"\blivingworld\.(\w+)", sql)
        if name in made_in
    ]

    assert len(made_in) > 80
    assert [use for use in named if use[2] > use[0].partition("/")[0]] == []


async def test_vectors_stay_in_their_rows(database_url: str) -> None:
    """A storage parameter, which no catalog of the other tests shows."""
    async with connected(database_url) as connection:
        options = await connection.fetchval(
            "SELECT reloptions FROM pg_class WHERE oid = 'livingworld.memory_vectors'::regclass"
        )
    assert options == ["toast_tuple_target=8160"]


async def test_autogenerate_finds_nothing_to_do(database_url: str) -> None:
    assert await migrations.check(database_url, metadata) == []


async def test_a_dropped_index_and_a_changed_column_are_found(database_url: str) -> None:
    async with connected(database_url) as connection:
        await connection.execute("DROP INDEX livingworld.ix_scenes_parent")
        await connection.execute("ALTER TABLE livingworld.stories ALTER COLUMN premise DROP NOT NULL")

    found = await migrations.check(database_url, metadata)

    assert len(found) == 2
    assert any("ix_scenes_parent" in line for line in found)
    assert any("premise" in line for line in found)


async def test_tables_of_the_application_are_left_alone_and_not_reported(empty_database_url: str) -> None:
    async with connected(empty_database_url) as connection:
        await connection.execute("CREATE TABLE public.worlds (id integer PRIMARY KEY); INSERT INTO worlds VALUES (1)")
        await migrations.upgrade(empty_database_url)

        assert await migrations.check(empty_database_url, metadata) == []
        await migrations.downgrade(empty_database_url, "base")
        assert await connection.fetchval("SELECT count(*) FROM public.worlds") == 1


async def test_up_down_and_up_again_is_the_same(empty_database_url: str) -> None:
    await migrations.upgrade(empty_database_url)
    first = await catalog(empty_database_url)
    await migrations.downgrade(empty_database_url, "base")
    gone = await catalog(empty_database_url)
    await migrations.upgrade(empty_database_url)

    assert gone == {kind: {} for kind in first}
    assert await catalog(empty_database_url) == first


async def test_the_status_names_what_an_upgrade_would_do(empty_database_url: str) -> None:
    before = await migrations.status(empty_database_url)
    await migrations.upgrade(empty_database_url)
    after = await migrations.status(empty_database_url)

    assert (before.current, before.pending[-1]) == (None, before.head)
    assert (after.current, after.pending) == (before.head, ())


async def test_one_statement_goes_with_each_execute(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    prepare = asyncpg.Connection.prepare

    async def listening(self: Any, query: str, **options: Any) -> object:  # noqa: ANN401 - asyncpg's own signature
        sent.append(query)
        return await prepare(self, query, **options)

    monkeypatch.setattr(asyncpg.Connection, "prepare", listening)
    await migrations.upgrade(empty_database_url)

    # What is sent is prepared, and PostgreSQL prepares no two statements at once: all of it went one by one.
    assert sum(statement.lstrip().startswith("CREATE TABLE livingworld") for statement in sent) >= 12
    assert sum("CREATE FUNCTION livingworld.append_scenes_v1" in statement for statement in sent) == 1
