"""A test that hangs fails alone, and says what everything was doing.

pytest-timeout reads the limits: `timeout` in pyproject.toml, `@pytest.mark.timeout`, `--timeout`. What happens at a
limit is here: the report is made and the coroutine that the loop runs is cancelled, so that the blocks of the test end
what they began. What does not end within `timeout_grace`, and what runs without a loop, is interrupted where it stands,
again and again until the test and its teardown are over. Processes that it started and left are killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from asyncio import Future
from collections.abc import Generator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
import pytest
import pytest_timeout  # type: ignore[import-untyped]
from _pytest.outcomes import Failed

from tests.support.hang_report import report

_DATABASES: Final = frozenset({"database_url", "empty_database_url"})
_DATABASE: Final = pytest.StashKey[str]()
_ALARM: Final = pytest.StashKey["Alarm"]()
#: The processes that fixtures of more than one test have started.
_SHARED: Final = pytest.StashKey[set[psutil.Process]]()


class TimeLimitReached(Failed):
    """A test took longer than it may."""


@dataclass(slots=True)
class Alarm:
    """The time limit of one test, with its fixtures."""

    item: pytest.Item
    limit: float
    grace: float
    #: When the test began, by the clock that tells the age of processes, which is right to a second.
    began: float
    reached: bool = False
    #: What everything was doing, from the limit until it was told.
    reported: str | None = None
    armed: bool = False
    #: Not between the phases of the test: pytest's own work is not interrupted, however slow it is.
    in_phase: bool = False
    in_teardown: bool = False
    _told: Future[Any] | None = None

    def arm(self, seconds: float) -> None:
        """Ring after so many seconds, and then after each grace."""
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, self.grace)
        self.armed = True

    def disarm(self) -> None:
        """Ring no more."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.armed = False

    def kill_what_it_left(self) -> None:
        """End the processes that were started since, but for those that other tests use too."""
        shared: set[psutil.Process] = self.item.config.stash.setdefault(_SHARED, set())
        for process in _processes() - shared:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.create_time() > self.began:
                    process.kill()

    def _ring(self, _signal: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        if pytest_timeout.is_debugging() or not self.in_phase:
            return
        self.reached = True
        self.reported = self.reported or report(self.item.stash.get(_DATABASE, None), frame)
        future = _run_by_the_loop(frame)
        if future is None or future is self._told:
            raise TimeLimitReached(self.title)
        self._told, loop = future, future.get_loop()
        # pytest ends no other fixture when one ends with a CancelledError. This one's is cancelled with its loop.
        loop.call_soon_threadsafe(loop.stop if self.in_teardown else future.cancel)

    @property
    def title(self) -> str:
        """What happened, in one line."""
        return f"The test took longer than {self.limit:g} s."


def _processes() -> frozenset[psutil.Process]:
    return frozenset(psutil.Process().children(recursive=True))


def _run_by_the_loop(frame: FrameType | None) -> Future[Any] | None:
    """Return what the innermost running loop of this thread runs until it is complete."""
    while frame is not None:
        if frame.f_code is asyncio.BaseEventLoop.run_until_complete.__code__:
            found = frame.f_locals["future"]
            return found if isinstance(found, Future) else None  # it has just begun and is still a coroutine
        frame = frame.f_back
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("slow_timeout", "The limit of a test that is marked as slow, in seconds", default="900")
    parser.addini("timeout_grace", "Seconds between two attempts to end a test after its limit", default="20")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    slow = pytest.mark.timeout(float(config.getini("slow_timeout")))
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(slow)
    if hasattr(config, "workerinput"):
        # The long ones begin first, so that no worker is left with one when the others have nothing more to do.
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl
def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> bool | None:
    if not hasattr(signal, "SIGALRM"):
        return None
    grace = float(item.config.getini("timeout_grace"))
    item.stash[_ALARM] = alarm = Alarm(item, settings.timeout, grace, time.time() - 1)
    alarm.arm(alarm.limit)
    return True


@pytest.hookimpl
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool | None:
    alarm = item.stash.get(_ALARM, None)
    if alarm is None:
        return None
    alarm.disarm()
    return True


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    before = _processes() if fixturedef.scope != "function" else None
    try:
        value = yield
    finally:
        if before is not None:
            request.config.stash.setdefault(_SHARED, set()).update(_processes() - before)
    if fixturedef.argname in _DATABASES:
        request.node.stash[_DATABASE] = value
    return value


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _telling(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _telling(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    if alarm := item.stash.get(_ALARM, None):
        alarm.in_teardown = True
        if not alarm.armed:  # pytest-timeout has put it out when the test failed, for a debugger
            alarm.arm(alarm.limit)
    return (yield from _telling(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    if (alarm := item.stash.get(_ALARM, None)) and alarm.reached:
        alarm.kill_what_it_left()
    return result


def _telling(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail with the report where the limit was reached, whatever the test made of being ended."""
    __tracebackhide__ = True
    if (alarm := item.stash.get(_ALARM, None)) is None:
        return (yield)
    ended_by = None
    alarm.in_phase = True
    try:
        result = yield
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:
        if alarm.reported is None:
            raise
        ended_by = error
    finally:
        alarm.in_phase = False
    if alarm.reported is not None:
        told, alarm.reported = alarm.reported, None
        raise TimeLimitReached(f"{alarm.title}\n{told}") from ended_by
    return result
