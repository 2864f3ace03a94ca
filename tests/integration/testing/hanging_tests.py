"""Tests of which each hangs in its own way; `test_time_limits.py` runs them in a session of their own."""

import asyncio
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from typing import NoReturn

import pytest
import pytest_asyncio

from livingworld.testing.staged_races import connected

pytestmark = pytest.mark.timeout(2)
put_out: list[str] = []
started: list[subprocess.Popen[bytes]] = []


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_that_waits_for_a_task() -> None:
    await asyncio.create_task(for_ever(), name="the bell of the cellar")


@pytest.mark.timeout(120)  # the first database of a session takes its time
async def test_that_waits_for_a_row(database_url: str) -> None:
    lock = "SELECT pg_advisory_xact_lock(7)"
    async with connected(database_url) as holder, connected(database_url) as waiter, holder.transaction():
        await holder.execute(lock)
        signal.setitimer(signal.ITIMER_REAL, 1, 2)  # now
        await waiter.execute(lock)


async def test_that_cannot_be_cancelled() -> None:
    while True:
        try:
            await for_ever()
        except asyncio.CancelledError:
            continue


async def test_that_keeps_the_loop() -> None:
    while True:
        pass


def test_that_waits_for_a_program() -> None:
    started.append(subprocess.Popen(["sleep", "600"]))
    threading.Event().wait()


@pytest.fixture
def never_there() -> None:
    threading.Event().wait()


def test_with_a_fixture_that_hangs(never_there: None) -> NoReturn:
    raise AssertionError


@pytest.fixture
def never_gone() -> Iterator[None]:
    yield
    threading.Event().wait()


def test_with_a_teardown_that_hangs(never_gone: None) -> None:
    pass


@pytest.fixture
def light() -> Iterator[None]:
    yield
    put_out.append("light")


@pytest_asyncio.fixture
async def never_closed(light: None) -> AsyncIterator[None]:
    yield
    await for_ever()


async def test_that_fails_before_its_teardown_hangs(never_closed: None) -> NoReturn:
    raise ZeroDivisionError


def test_that_comes_last() -> None:
    assert put_out == ["light"]
    assert [program.wait() for program in started] == [-signal.SIGKILL]


@pytest.mark.slow
def test_that_is_slow_begins_first() -> None:
    assert (put_out, started) == ([], [])
