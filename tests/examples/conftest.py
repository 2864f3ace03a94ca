"""One database and one server for the tests of a module: each plays stories of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_postgresql.executors import NoopExecutor

from livingworld.testing.databases import DatabaseMaker
from tests.examples.fake_model import FakeModel
from tests.examples.servers import Server, serving


@pytest.fixture(scope="module")
def shared_database_url(database_maker: DatabaseMaker, migrated_template: NoopExecutor) -> Iterator[str]:
    """Give the URL of the module's database."""
    with database_maker.database(template=migrated_template.template_dbname) as url:
        yield url


@pytest.fixture(scope="module")
def server(shared_database_url: str) -> Iterator[Server]:
    """Give a server with the built-in model."""
    with serving(shared_database_url) as started:
        yield started


@pytest.fixture(scope="module")
def other_server(shared_database_url: str) -> Iterator[Server]:
    """Give a second server on the same database."""
    with serving(shared_database_url) as started:
        yield started


@pytest.fixture(scope="module")
def model() -> Iterator[FakeModel]:
    """Give a model behind HTTP that the instructions of a test direct."""
    with FakeModel.running() as running:
        yield running


@pytest.fixture(scope="module")
def modelled(shared_database_url: str, model: FakeModel) -> Iterator[Server]:
    """Give a server with that model."""
    with serving(shared_database_url, model_url=model.url) as started:
        yield started
