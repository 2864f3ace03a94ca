"""A test whose own statement Citus refuses is skipped, and says which: those of the library raise its own errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import asyncpg
import psycopg
import pytest

from livingworld.errors import LivingWorldError
from livingworld.testing import staged_races
from livingworld.testing.staged_races import Connection, Holder

#: Of a statement that names no world, or none of one world.
_REFUSED: Final = (asyncpg.exceptions.FeatureNotSupportedError, psycopg.errors.FeatureNotSupported)
#: What Citus makes of a SELECT of no column from all shards.
_NO_COLUMN: Final = "a column definition list is required"
_connected, _holding = staged_races.connected, staged_races.holding
#: Of the test that runs.
_noted: list[BaseException] = []
#: Of the cluster.
nodes: list[object] = []


def is_refused(error: object) -> bool:
    """Return whether an error is Citus's answer to a statement."""
    return isinstance(error, _REFUSED) or (
        isinstance(error, asyncpg.exceptions.PostgresSyntaxError) and _NO_COLUMN in str(error)
    )


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Do as the function of this name, and note what is refused: a race keeps the error of a contender to itself."""
    async with _connected(url) as connection:
        connection.add_query_logger(_note)
        yield connection


def _note(query: Any) -> None:  # noqa: ANN401 - asyncpg's record
    if is_refused(query.exception):
        _noted.append(query.exception)


def holding(
    url: str, statement: str, parameters: Sequence[object] = (), *, commit: bool = False
) -> AbstractAsyncContextManager[Holder]:
    """Do as the function of this name, but skip what holds an advisory lock: it would be one of the asked node."""
    if len(nodes) > 1 and "pg_advisory" in statement:
        pytest.skip("the test holds an advisory lock of the node that it asks; the library's are where the world is")
    return _holding(url, statement, parameters, commit=commit)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that failed after a statement of its own was refused."""
    report = yield
    if call.when == "setup":
        _noted.clear()
    if call.excinfo is not None and report.outcome == "failed":
        own = list(_links(call.excinfo.value))
        found = [] if any(isinstance(link, LivingWorldError) for link in own) else [*filter(is_refused, own), *_noted]
        if found:
            report.outcome = "skipped"
            report.longrepr = (str(report.fspath), 0, f"Skipped: Citus refuses a statement of the test: {found[0]}")
    return report


def _links(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _links(each)
        error = error.__cause__ or error.__context__
