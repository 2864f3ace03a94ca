"""A step of a revision: its statements, what they lock and for how long, and how to see that it was done before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, TextClause, text

from livingworld.postgres.connections.time_limits import in_milliseconds
from livingworld.postgres.distribution.cluster import is_distributed
from livingworld.postgres.distribution.partition_indexes import in_partitions


class Lock(Enum):
    """How a step locks its tables, and who waits for it."""

    NONE = ("no lock", "nobody waits")
    ROWS = ("FOR NO KEY UPDATE", "writers of the rows of a batch wait")
    SHARE_UPDATE_EXCLUSIVE = ("SHARE UPDATE EXCLUSIVE", "nobody waits")
    SHARE_ROW_EXCLUSIVE = ("SHARE ROW EXCLUSIVE", "writers wait")
    ACCESS_EXCLUSIVE = ("ACCESS EXCLUSIVE", "readers and writers wait")

    def __init__(self, mode: str, waiting: str) -> None:
        self.mode = mode
        self.waiting = waiting

    @property
    def stops_writers(self) -> bool:
        """Whether a writer of the tables queues behind the step, also while the step still waits for its lock."""
        return self in {Lock.ROWS, Lock.SHARE_ROW_EXCLUSIVE, Lock.ACCESS_EXCLUSIVE}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement of a step may wait for a lock, and run in all; None is without a limit."""

    lock: timedelta
    statement: timedelta | None

    def set_on(self, connection: Connection, *, of_transaction: bool) -> None:
        """Set them until the transaction ends, or for the session: a role may have others, of `ALTER ROLE`."""
        of_what = "LOCAL" if of_transaction else "SESSION"
        for name, limit in (("lock_timeout", self.lock), ("statement_timeout", self.statement)):
            value = "0" if limit is None else in_milliseconds(limit)
            # By this statement, and not by the function below, Citus tells them to its other nodes.
            connection.execute(text(f"SET {of_what} {name} = '{value}'"))
        parameters = {"names": list(_OTHERS), "given": list(_OTHERS.values()), "local": of_transaction}
        connection.execute(_SET, parameters)


_OTHERS: Final = {
    # What ends a session that waits for nothing but its own work.
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    # A build whose upgrader was killed goes on in the server for so long only.
    "client_connection_check_interval": "1s",
}
#: A server that does not know a setting (transaction_timeout before 17), or cannot keep it (Windows), goes without.
_SET: Final = text("""
    SELECT set_config(s.name, given.value, :local)
    FROM unnest(CAST(:names AS text[]), CAST(:given AS text[])) AS given (name, value)
    JOIN pg_settings s ON s.name = given.name
    WHERE s.name <> 'client_connection_check_interval' OR version() !~* 'mingw|windows|visual'
""")
#: A little longer than PostgreSQL's deadlock_timeout of 1 s, after which an autovacuum in the way is cancelled: with
#: 1 s the step would give up first, each time, as long as that vacuum lasts.
BRIEF: Final = timedelta(seconds=1.2)
#: What may stop others: such a statement waits and works for 2 s at most.
QUICK: Final = Limits(BRIEF, timedelta(seconds=2))
#: What stops nobody, neither while it waits nor while it works.
LONG: Final = Limits(timedelta(minutes=1), None)
#: A build waits for every older transaction of the database, which may be a dump of all of it.
BUILDING: Final = Limits(timedelta(hours=1), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change, which takes effect whole or not at all, and which a second run passes over."""

    title: str
    statements: tuple[str, ...]
    lock: Lock
    limits: Limits
    #: The tables that it locks, without the schema.
    tables: tuple[str, ...] = ()
    #: A query of one boolean: whether the database has it already. None: the revision is written in its transaction.
    done: str | None = None
    #: False for what PostgreSQL refuses in a transaction.
    in_transaction: bool = True
    #: How often it reads the tables whole, and what of them it rewrites.
    scans: int = 0
    rewrites: str = "nothing"
    #: What runs instead of `statements` where tables are distributed.
    where_distributed: tuple[str, ...] | None = None

    def is_done(self, connection: Connection) -> bool:
        """Return whether an earlier run did it."""
        return self.done is not None and bool(connection.scalar(verbatim(self.done)))

    def perform(self, context: MigrationContext, progress: Any) -> None:  # noqa: ANN401, ARG002 - of a back-fill
        """Do it in the transaction of `context`, which stays open, or outside of any, where it has to be."""
        if self.in_transaction:
            self._execute(connection_of(context))
            return
        with outside_transaction(context):
            self._execute(connection_of(context))

    def at_once(self) -> tuple[str, ...]:
        """Return the statements of a script for an empty database, which runs in one transaction."""
        return tuple(statement.replace(" CONCURRENTLY", "") for statement in self.statements)

    def _execute(self, connection: Connection) -> None:
        self.limits.set_on(connection, of_transaction=self.in_transaction)
        in_parts = self.where_distributed is not None and is_distributed(connection)
        for statement in self.where_distributed or () if in_parts else self.statements:
            for each in in_partitions(connection, statement):
                connection.execute(verbatim(each))


def verbatim(statement: str) -> TextClause:
    """Return a statement whose colons are no parameters."""
    return text(statement.replace(":", "\\:"))


@contextmanager
def outside_transaction(context: MigrationContext) -> Iterator[None]:
    """Commit what is open and let each statement of the block be its own transaction.

    Why the block was left comes out, also where alembic cannot go on with a connection that is lost, or whose statement
    was cancelled.
    """
    reason: BaseException | None = None
    try:
        with context.autocommit_block():
            try:
                yield
            except BaseException as error:
                reason = error
                raise
    except BaseException:
        if reason is None:
            raise
    if reason is not None:
        raise reason


def commit(context: MigrationContext) -> None:
    """Commit what is open, and begin the next transaction."""
    with context.autocommit_block():
        pass


def connection_of(context: MigrationContext) -> Connection:
    """Return the connection on which a revision runs."""
    if context.connection is None:
        message = "a step needs a connection"
        raise RuntimeError(message)
    return context.connection
