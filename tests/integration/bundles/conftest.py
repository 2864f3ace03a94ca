from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_postgresql.executors import NoopExecutor

from livingworld.testing.databases import DatabaseMaker
from tests.integration.bundles.full_world import FullWorld, make_full_world


@pytest.fixture(scope="session")
def full(database_maker: DatabaseMaker, migrated_template: NoopExecutor) -> Iterator[FullWorld]:
    """Give a world in which every table has rows, in a database that only gets copies of it, and its bundle."""
    with database_maker.database(template=migrated_template.template_dbname) as url:
        with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
            made = thread.submit(asyncio.run, make_full_world(url)).result()
        yield made
