"""An upgrade that ends anywhere is one that goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from alembic import command
from pytest_postgresql.executors import NoopExecutor
from sqlalchemy import Engine, event, make_url

from livingworld.postgres import migrations
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.staged_races import connected
from tests.migrations.catalogs import catalog
from tests.migrations.later_release import LATER, behind, fill
from tests.support.patience import NEVER
from tests.support.rotation import rotated

UNFILLED = "SELECT count(*) FROM livingworld.scenes WHERE mood IS NULL"


class Killed(BaseException):
    """The upgrader ends between two statements; PostgreSQL rolls back what was open."""


@contextmanager
def killed_before(number: int) -> Iterator[list[str]]:
    """Let the upgrade in the block end before its statement of that number; yields those that were sent."""
    sent: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if len(sent) == number:
            raise Killed
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", count)


@pytest.mark.rotates
@pytest.mark.usefixtures("later")
async def test_it_goes_on_wherever_it_was_killed(
    database_maker: DatabaseMaker, migrated_template: NoopExecutor
) -> None:
    with database_maker.database(template=migrated_template.template_dbname) as url:
        await fill(url, scenes=100)
        with killed_before(-1) as sent:
            await migrations.upgrade(url)
        whole = await catalog(url)
    assert sum("livingworld" in statement for statement in sent) > 30

    for number in rotated(range(len(sent)), parts=40):
        with database_maker.database(template=migrated_template.template_dbname) as url:
            await fill(url, scenes=100)
            with killed_before(number), pytest.raises(Killed):
                await migrations.upgrade(url)
            await migrations.upgrade(url)

            assert await catalog(url) == whole, f"killed before {sent[number]}"
            assert await behind(url) == ()
            async with connected(url) as connection:
                assert await connection.fetchval(UNFILLED) == 0


@pytest.mark.usefixtures("later")
async def test_an_owner_whom_row_security_holds_back_fills_the_rows_of_all_worlds(empty_database_url: str) -> None:
    name = f"migrator_{os.getpid()}"
    owner = make_url(empty_database_url).set(username=name, password="m").render_as_string(hide_password=False)
    async with connected(empty_database_url) as administrator:
        await administrator.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'm'")
        try:
            await administrator.execute(f"CREATE SCHEMA livingworld AUTHORIZATION {name}")
            await migrations.upgrade(owner, "0005")
            await fill(empty_database_url, scenes=100)
            await isolate(owner, on=True, lock_timeout=NEVER)
            planned = await migrations.plan(owner)
            await migrations.upgrade(owner)
            assert not any(step.done for step in planned)
            assert await administrator.fetchval(UNFILLED) == 0
        finally:
            await administrator.execute(f"DROP OWNED BY {name} CASCADE")
            await administrator.execute(f"DROP ROLE {name}")


@pytest.mark.usefixtures("later")
async def test_a_script_and_the_way_back_and_forth_give_the_same(
    database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrations.upgrade(database_url)
    upgraded = await catalog(database_url)
    await migrations.downgrade(database_url, "0005", destroy_data=True)
    await migrations.upgrade(database_url)
    script = StringIO()
    config = migrations._config()
    config.output_buffer = script
    command.upgrade(config, "head", sql=True)
    async with connected(empty_database_url) as connection:
        await connection.execute(script.getvalue())

    assert await catalog(database_url) == upgraded
    made = await catalog(empty_database_url)
    for function in ("vector_similarity", "nearest_memories"):  # an upgrade may make the extension, a script does not
        made["functions"].pop(function)
        upgraded["functions"].pop(function)
    assert made == upgraded


@pytest.mark.usefixtures("later")
async def test_the_plan_says_of_each_step_who_waits_and_changes_nothing(database_url: str) -> None:
    await fill(database_url, scenes=100)
    before = await catalog(database_url)
    planned = await migrations.plan(database_url)
    steps = {step.title: step for step in planned}

    assert await catalog(database_url) == before
    assert list(dict.fromkeys(step.revision for step in planned)) == LATER
    column = steps["column scenes.mood"]
    assert (column.locks, column.stops) == ("scenes (ACCESS EXCLUSIVE)", "readers and writers wait")
    assert column.at_most is not None
    assert column.at_most.total_seconds() == 2
    index = steps["index ix_scenes_mood"]
    assert (index.locks, index.stops, index.at_most) == ("scenes (SHARE UPDATE EXCLUSIVE)", "nobody waits", None)
    assert index.reads.startswith("100 rows, ")
    assert steps["stories: tone = lower(title)"].rewrites == "2 rows of stories, at most, 500 at a time"
    assert not any(step.done for step in planned)


@pytest.mark.usefixtures("later")
async def test_the_plan_of_what_was_interrupted_says_what_is_done(database_url: str) -> None:
    with killed_before(20), pytest.raises(Killed):
        await migrations.upgrade(database_url)

    done = [step.done for step in await migrations.plan(database_url) if step.revision == LATER[0]]
    assert done[0]
    assert done == sorted(done, reverse=True)
