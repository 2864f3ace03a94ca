import gc
import os
import signal
from importlib.metadata import version

import pytest
from hypothesis import HealthCheck, settings

from livingworld.postgres import leases
from livingworld.testing.throw_away_directory import end_programs_with_this_process

pytest_plugins = [
    "livingworld.testing.fixtures",
    "tests.support.compiled_once",
    "tests.support.forked_workers",
    "tests.support.initialised_once",
    "tests.support.just_started",
    "tests.support.rotation",
    "tests.support.run_role",
    "tests.support.time_limits",
    "pytester",
]

# A machine that has other things to do is no failure. Each run has examples of its own, and a soak more of them.
EXAMPLES = 100 if os.environ.get("LIVINGWORLD_TEST_PART") == "all" else 30
settings.register_profile(
    "livingworld", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=EXAMPLES
)
settings.load_profile("livingworld")


def pytest_configure() -> None:
    """Prepare this process; a worker of xdist is a fork of one that has imported this module."""
    end_programs_with_this_process()
    # A run in the background of a shell ignores them, and so would every program that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # What is imported and collected stays. Without looking at it, tests are collected in 4.3 s and not in 5.2.
    gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what the tests make, and not again at their modules, 0.2 s each time.

    tests/faults asks for a pass after each test, which looks at what the test has left. By itself it begins after
    20,000 objects and not after 700: passes that find nothing took an eighth of the CPU of a worker.
    """
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


def pytest_report_header() -> str:
    """Say on what the tests run: CI runs them on the oldest SQLAlchemy too."""
    return f"SQLAlchemy {version('sqlalchemy')}, asyncpg {version('asyncpg')}"


@pytest.fixture
def patient_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let many writers wait for one row in turn, however long each takes: a loaded machine refuses none of them."""
    for setting, seconds in (("LOCK", 300), ("STATEMENT", 301), ("COMMAND", 302), ("CALL", 300)):
        monkeypatch.setenv(f"LIVINGWORLD_{setting}_TIMEOUT", str(seconds))


@pytest.fixture
def renewed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew a lease of an hour, for which no machine is too slow, ten times a second."""
    monkeypatch.setattr(leases, "RENEWALS", 36_000)
