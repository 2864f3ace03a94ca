"""Migrations: several replicas may ask at once; one works, the others wait their turn, and then find it done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, MetaData, text

from livingworld.database.driver_errors import DRIVER_EXCEPTIONS, name_failure
from livingworld.database.engine import unpooled_engine
from livingworld.database.metadata import SCHEMA
from livingworld.errors import LivingWorldError, LockTimeout, MigrationTimeout
from livingworld.observability import events

T = TypeVar("T")

_one_at_a_time: Final = threading.Lock()  # alembic keeps what it works on in its module

VERSION_TABLE: Final = "alembic_version"
DEFAULT_LOCK_TIMEOUT: Final = timedelta(seconds=60)
#: No statement of a migration may run longer.
_STATEMENT_TIMEOUT: Final = timedelta(minutes=15)
_LOCK: Final = "SELECT pg_advisory_xact_lock(:key)"
_LOCK_KEY: Final = int.from_bytes(b"lwmigrat", signed=True)


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Where a database stands."""

    #: Its revision, or None when it was never migrated.
    current: str | None
    #: The newest revision of this release.
    head: str
    #: The revisions that an upgrade would run, oldest first.
    pending: tuple[str, ...]


def script_location() -> Path:
    """Return the folder of the migrations: inside the package when installed from a wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "alembic"


async def upgrade(url: str | URL, revision: str = "head", *, lock_timeout: timedelta = DEFAULT_LOCK_TIMEOUT) -> None:
    """Bring the database to `revision`, in one transaction.

    Waits for another process that migrates; raises MigrationTimeout after `lock_timeout`. Doing it again is harmless.
    """
    await _run(command.upgrade, url, revision, lock_timeout)


async def downgrade(url: str | URL, revision: str, *, lock_timeout: timedelta = DEFAULT_LOCK_TIMEOUT) -> None:
    """Take the database back to `revision`, in one transaction; `base` removes every table and every story.

    Waits and raises as `upgrade` does.
    """
    await _run(command.downgrade, url, revision, lock_timeout)


async def status(url: str | URL) -> MigrationStatus:
    """Return where the database stands; changes nothing."""
    scripts = ScriptDirectory(str(script_location()))
    current = await _inspect(url, lambda connection: _context(connection).get_current_revision())
    head = scripts.get_current_head() or "base"
    revisions = [script.revision for script in scripts.iterate_revisions(head, current or "base")]
    return MigrationStatus(current, head, tuple(reversed(revisions)))


async def check(url: str | URL, metadata: MetaData) -> list[str]:
    """Return how the database differs from the tables of this release, a line each; empty when it does not."""
    differences = await _inspect(url, lambda connection: compare_metadata(_context(connection), metadata))
    return [str(difference) for difference in differences]


def take_turn(connection: Connection, lock_timeout: timedelta) -> None:
    """Wait for the turn to migrate, which ends with the transaction, and see that the schema exists.

    The revision is read afterwards, so that whoever waited finds the work done.
    """
    events.emit(events.MIGRATION_WAITING, time_limit_seconds=lock_timeout.total_seconds())
    limits = {"lock_timeout": lock_timeout, "statement_timeout": _STATEMENT_TIMEOUT}
    for name, limit in limits.items():
        value = f"{limit // timedelta(milliseconds=1)}ms"
        connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
    connection.execute(text(_LOCK), {"key": _LOCK_KEY})
    exists = connection.scalar(text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": SCHEMA})
    if not exists:  # not IF NOT EXISTS: that needs the right to create schemas even where an administrator made it
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))


async def _run(task: Callable[..., object], url: str | URL, revision: str, lock_timeout: timedelta) -> None:
    config = Config()
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    config.attributes["lock_timeout"] = lock_timeout
    error: LivingWorldError | None = None

    def alone() -> None:
        with _one_at_a_time:
            task(config, revision)

    try:
        await asyncio.to_thread(alone)  # env.py runs an event loop of its own
    except DRIVER_EXCEPTIONS as exception:
        failure = name_failure(exception)
        error = MigrationTimeout() if isinstance(failure.error, LockTimeout) else failure.error
        error.__cause__ = failure.cause
    if error is not None:
        raise error
    events.emit(events.MIGRATED, revision=revision)


async def _inspect(url: str | URL, look: Callable[[Connection], T]) -> T:
    engine = unpooled_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(look)
    except DRIVER_EXCEPTIONS as exception:
        failure = name_failure(exception)
    finally:
        await engine.dispose()
    raise failure.error from failure.cause


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts=comparison_options())


def comparison_options() -> dict[str, Any]:
    """Return what alembic needs to find livingworld's tables and no others; shared with alembic/env.py."""
    return {
        "version_table": VERSION_TABLE,
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "include_name": _is_ours,
        "compare_type": True,
        "compare_server_default": True,
    }


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    if kind == "schema":
        return name == SCHEMA
    return not (kind == "table" and name == VERSION_TABLE)
