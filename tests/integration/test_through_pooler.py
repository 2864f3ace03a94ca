"""The plugin for PgBouncer: what a LivingWorld asks goes through it, and what a test asks does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_postgresql.executors import NoopExecutor
from sqlalchemy import URL

from livingworld import LivingWorld
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.staged_races import connected
from tests.support.pooler import PGBOUNCER, ask_pooler, keeps_statements
from tests.support.through_pooler import PooledMaker, Redirection, pytest_collection_modifyitems

needs_pooler = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer (Debian's package)")


@pytest.fixture
def redirection(database_maker: DatabaseMaker, monkeypatch: pytest.MonkeyPatch) -> Redirection:
    redirection = Redirection(database_maker.server, prepared=keeps_statements())
    redirection.begin(monkeypatch)
    return redirection


@pytest.fixture
def pooled_url(
    database_maker: DatabaseMaker, migrated_template: NoopExecutor, redirection: Redirection
) -> Iterator[str]:
    maker = PooledMaker(database_maker.server, database_maker.connection, database_maker.strategy, redirection)
    with maker.database(template=migrated_template.template_dbname) as url:
        yield url


def transactions_of(pooler: URL) -> int:
    """Return how many transactions a pooler has passed on to its database."""
    found = ask_pooler(pooler.render_as_string(hide_password=False), "SHOW STATS_TOTALS")
    return sum(row["xact_count"] for row in found if row["database"] == pooler.database)


@needs_pooler
@pytest.mark.direct_connection("it puts the pooler there itself")
@pytest.mark.as_owner("a run through a pooler is the owner's")
async def test_a_livingworld_reaches_the_server_through_the_pooler_and_the_test_directly(
    redirection: Redirection, pooled_url: str
) -> None:
    (pooler,) = redirection.poolers.values()
    async with LivingWorld.open(database_url=pooled_url) as livingworld:
        await livingworld.worlds.create("Saltmarsh")
        passed_on = transactions_of(pooler)
        await livingworld.worlds.create("Northmarsh")
    assert transactions_of(pooler) > passed_on > 0

    passed_on = transactions_of(pooler)
    async with connected(pooled_url) as observer:
        assert await observer.fetchval("SELECT count(*) FROM livingworld.worlds") == 2
    assert transactions_of(pooler) == passed_on


def test_what_is_marked_is_skipped_with_its_reason(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    items = pytester.getitems(
        """
        import pytest

        @pytest.mark.direct_connection("sessions are counted")
        def test_of_sessions(): ...

        def test_of_a_world(): ...
        """
    )

    pytest_collection_modifyitems(items)

    assert {item.name: [mark.kwargs for mark in item.iter_markers("skip")] for item in items} == {
        "test_of_sessions": [{"reason": "sessions are counted"}],
        "test_of_a_world": [],
    }
