"""A test whose own statement Citus refuses is skipped, and says which: those of the library raise its own errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import asyncpg
import psycopg
import pytest

from livingworld.errors import DatabaseFailure, LivingWorldError
from livingworld.testing import staged_races
from livingworld.testing.staged_races import Connection, Holder

#: Of a statement that names no world, or none of one world.
_REFUSED: Final = (asyncpg.exceptions.FeatureNotSupportedError, psycopg.errors.FeatureNotSupported)
#: What Citus makes of a SELECT of no column from all shards, and of a trigger.
_WORDS: Final = (
    "a column definition list is required",
    "triggers are not supported on distributed tables",
    "triggers are not supported on reference tables",
    "cannot insert multiple commands into a prepared statement",
)
_connected, _holding = staged_races.connected, staged_races.holding
#: Of the test that runs.
_noted: list[BaseException] = []
#: Of the cluster.
nodes: list[object] = []


def is_refused(error: object) -> bool:
    """Return whether an error is Citus's answer to a statement."""
    is_of_postgres = isinstance(error, asyncpg.PostgresError)
    return isinstance(error, _REFUSED) or (is_of_postgres and any(words in str(error) for words in _WORDS))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Do as the function of this name, and note what is refused: a race keeps the error of a contender to itself."""
    async with _connected(url) as connection:
        await connection.execute("SET lock_timeout = 0")  # as on a plain server: `db distribute` sets that of a process
        connection.add_query_logger(_note)
        yield connection


def _note(query: Any) -> None:  # noqa: ANN401 - asyncpg's record
    if is_refused(query.exception):
        _noted.append(query.exception)


def holding(
    url: str, statement: str, parameters: Sequence[object] = (), *, commit: bool = False
) -> AbstractAsyncContextManager[Holder]:
    """Do as the function of this name, but skip what would be held on the asked node only."""
    if len(nodes) > 1 and "pg_advisory" in statement:
        pytest.skip("the test holds an advisory lock of the node that it asks; the library's are where the world is")
    if len(nodes) > 1 and "livingworld.worlds " in statement:
        pytest.skip("the test holds the row of a world on the node that it asks; keys look for it where the world is")
    return _holding(url, statement, parameters, commit=commit)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that failed after a statement of its own was refused."""
    report = yield
    if call.when == "setup":
        _noted.clear()
    why = _why(list(_links(call.excinfo.value))) if call.excinfo is not None else None
    if why is not None and report.outcome == "failed":
        report.outcome = "skipped"
        report.longrepr = (str(report.fspath), 0, f"Skipped: {why}")
    return report


def _why(errors: list[BaseException]) -> str | None:
    """Return why a failed test cannot hold on a cluster; None: it could."""
    for error in errors:
        if isinstance(error, DatabaseFailure) and "row-level security cannot be kept" in str(error):
            return str(error)
    own = [] if any(isinstance(error, LivingWorldError) for error in errors) else [*filter(is_refused, errors), *_noted]
    return f"Citus refuses a statement of the test: {own[0]}" if own else None


def _links(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _links(each)
        error = error.__cause__ or error.__context__
