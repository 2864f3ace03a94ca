"""pytest -p tests.support.on_citus: every database of a test is distributed over the cluster of LIVINGWORLD_CITUS_URL.

Tests talk to the node that the URL names, the coordinator or a worker. A database serves several tests, one after the
other and emptied between them, since a copy takes seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from livingworld.postgres import migrations
from livingworld.postgres.distribution.distributing import distribute
from livingworld.schema import metadata
from livingworld.settings.settings import Settings
from livingworld.testing import staged_races
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.server import ServerAddress
from tests.support import refused_by_citus
from tests.support.citus_cluster import ClusterMaker, maker_on_the_cluster, name_of_template

#: Locks are on the node of the world, where pg_blocking_pids of another node sees none of them.
_SESSIONS = """
    WITH waits AS MATERIALIZED (
        SELECT waiting_gpid % 10000000000 AS pid, array_agg(CAST(blocking_gpid % 10000000000 AS integer)) AS blockers
        FROM citus_lock_waits GROUP BY 1
    )
    SELECT a.pid, a.state, clock_timestamp() - a.state_change AS for_so_long, a.wait_event_type, a.wait_event,
        pg_blocking_pids(a.pid) || coalesce(w.blockers, '{}') AS blockers, left(a.query, 120) AS query
    FROM pg_stat_activity a LEFT JOIN waits w ON w.pid = a.pid
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.application_name NOT LIKE 'citus_internal%'
        AND a.backend_type = 'client backend'
    ORDER BY a.pid
"""


@dataclass(frozen=True)
class Template:
    """The database that each test has a copy of."""

    template_dbname: str


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterMaker]:
    with maker_on_the_cluster() as maker:
        yield maker


@pytest.fixture(scope="session")
def postgresql_server(cluster: ClusterMaker) -> ServerAddress:
    return cluster.server


@pytest.fixture(scope="session")
def database_maker(cluster: ClusterMaker) -> DatabaseMaker:
    return cluster


@pytest.fixture(scope="session")
def migrated_template(cluster: ClusterMaker) -> Iterator[Template]:
    async def fill(url: str) -> None:
        await migrations.upgrade(url)
        found = await distribute(url, metadata, Settings.load(database_url=url), shards=4, report=lambda _: None)
        assert (found.refused, found.missing) == ((), ())

    with cluster.undistributed(name_of_template()) as url:
        with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
            thread.submit(asyncio.run, fill(url)).result()
        yield Template(name_of_template())
        cluster.drop_copies()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot hold on this cluster, and says why."""
    with maker_on_the_cluster() as maker:
        refused_by_citus.nodes[:] = maker.nodes
    marks = ("one_server", "plain_server") if len(refused_by_citus.nodes) > 1 else ("plain_server",)
    for item in items:
        for mark in filter(None, map(item.get_closest_marker, marks)):
            (why,) = mark.args
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_configure(config: pytest.Config) -> None:
    """Put these fixtures in the place of the package's."""
    fixtures = config.pluginmanager.get_plugin("livingworld.testing.fixtures")
    for fixture in (postgresql_server, database_maker, migrated_template):
        setattr(fixtures, fixture.__name__, fixture)
    config.pluginmanager.register(refused_by_citus)
    # A test that is skipped within leaves the contenders that it has made.
    config.addinivalue_line(
        "filterwarnings", "ignore:Exception ignored in. <coroutine:pytest.PytestUnraisableExceptionWarning"
    )
    staged_races.connected = refused_by_citus.connected
    staged_races.holding = refused_by_citus.holding  # type: ignore[assignment]
    staged_races.SESSIONS = _SESSIONS  # type: ignore[misc]
