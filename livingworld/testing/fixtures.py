"""pytest's fixtures: a database of its own for each test, cloned from one that was migrated once in the session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
import pytest_asyncio
from pytest_postgresql import factories
from pytest_postgresql.executors import NoopExecutor

from livingworld import LivingWorld, Story, World
from livingworld.postgres import migrations
from livingworld.testing.databases import SESSION, DatabaseMaker, database_maker_on
from livingworld.testing.partitions import partition_for_tests
from livingworld.testing.roles import RunAs
from livingworld.testing.server import ServerAddress, running_server


@pytest.fixture(scope="session")
def postgresql_server(request: pytest.FixtureRequest) -> Iterator[ServerAddress]:
    """Yield the server of the session; an embedded one ends with it and leaves no file."""
    with running_server(request) as address:
        yield address


def _migrate(*, host: str, port: str | int, user: str, password: str | None, dbname: str, **_: Any) -> None:  # noqa: ANN401
    url = ServerAddress(host, int(port), user, password).url(dbname)
    with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
        thread.submit(asyncio.run, _make_template(url)).result()


async def _make_template(url: str) -> None:
    await migrations.upgrade(url)
    await partition_for_tests(url)
    if (role := RunAs.chosen()) is not None:
        await role.prepare(url)


#: The template: created and migrated once, dropped at the end of the session, also when tests failed.
migrated_template = factories.postgresql_noproc(depends_on="postgresql_server", dbname=SESSION, load=[_migrate])


@pytest.fixture(scope="session")
def database_maker(postgresql_server: ServerAddress) -> Iterator[DatabaseMaker]:
    """Give what makes and drops databases on the server of the session, over one connection."""
    with database_maker_on(postgresql_server) as maker:
        yield maker


@pytest.fixture(scope="session", autouse=RunAs.chosen() is not None)
def role_of_the_run(database_maker: DatabaseMaker) -> Iterator[RunAs | None]:
    """Be the role of LIVINGWORLD_TEST_ROLE (`application`, or `isolated`) in each LivingWorld; None: the owner."""
    role = RunAs.chosen()
    with nullcontext() if role is None else role.in_force(database_maker):
        yield role


@pytest.fixture
def database_url(database_maker: DatabaseMaker, migrated_template: NoopExecutor) -> Iterator[str]:
    """Give the URL of a fresh, migrated database; connections that the test left open are ended."""
    with database_maker.database(template=migrated_template.template_dbname) as url:
        yield url


@pytest.fixture
def empty_database_url(database_maker: DatabaseMaker) -> Iterator[str]:
    """Give the URL of a fresh database in which nothing was created; connections left open are ended."""
    with database_maker.database(template="template0") as url:
        yield url


@pytest_asyncio.fixture
async def livingworld(database_url: str) -> AsyncIterator[LivingWorld]:
    """Yield an open LivingWorld on a fresh database."""
    async with LivingWorld.open(database_url=database_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def world(livingworld: LivingWorld) -> World:
    """Return a world without stories."""
    return await livingworld.worlds.create("Saltmarsh")


@pytest_asyncio.fixture
async def story(world: World) -> Story:
    """Return a story without scenes."""
    return await world.stories.create("The Causeway", premise="A lantern on the wrong side of the water.")
