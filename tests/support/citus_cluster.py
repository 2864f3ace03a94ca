"""Databases of a test that stand on every node of the cluster that LIVINGWORLD_CITUS_URL names."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from livingworld.postgres.connections.time_limits import in_milliseconds, transaction_limits
from livingworld.settings.database_url import connection_target, parse_url
from livingworld.settings.settings import Settings
from livingworld.testing.databases import DatabaseMaker, name_of_worker
from livingworld.testing.server import ServerAddress

URL: Final = os.environ.get("LIVINGWORLD_CITUS_URL", "")
_PATIENCE_SECONDS: Final = 60
_NODES: Final = "SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid"
_SETTINGS: Final = """
    SELECT unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE d.datname = %s AND s.setrole = 0
"""
#: Sessions that Citus opens from one node to another, and its daemon, hold a database that is copied or dropped.
_END_SESSIONS: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()
"""
#: Shards by their numbers; `replica`: without the triggers of foreign keys, since all of it goes.
_DELETE_ROWS: Final = """
    DO $$
    DECLARE
        shard regclass;
        own regclass; -- made by a test
    BEGIN
        SET LOCAL citus.enable_manual_changes_to_shards = on;
        SET LOCAL session_replication_role = replica;
        SET LOCAL lock_timeout = '30s';
        FOR shard IN
            SELECT c.oid FROM pg_class c
            WHERE c.relnamespace = CAST('livingworld' AS regnamespace) AND c.relkind = 'r' AND c.relname ~ '_[0-9]{6,}$'
                AND c.relname NOT LIKE 'alembic%' AND pg_relation_size(c.oid) > 0
        LOOP
            EXECUTE 'DELETE FROM ' || shard;
        END LOOP;
        FOR own IN
            SELECT c.oid FROM pg_class c WHERE c.relnamespace = CAST('public' AS regnamespace) AND c.relkind = 'r'
        LOOP
            EXECUTE 'DROP TABLE ' || own || ' CASCADE';
        END LOOP;
    END
    $$
"""


_SHAPE: Final = """
    SELECT (SELECT count(*) FROM pg_constraint WHERE connamespace = n.oid), count(*), sum(c.relnatts),
        (SELECT min(version_num) FROM livingworld.alembic_version),
        (SELECT array_agg(c ORDER BY c) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
            CROSS JOIN unnest(s.setconfig) c WHERE d.datname = current_database() AND c NOT LIKE 'lock_timeout=%')
    FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = 'livingworld' GROUP BY n.oid
"""


@dataclass(slots=True)
class Node:
    """One server of the cluster, and a connection to its maintenance database."""

    host: str
    port: int
    connection: psycopg.Connection = field(repr=False)

    def run(self, statement: str | Composed, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Run a statement in the maintenance database, and return its rows."""
        cursor = self.connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

    def copy(self, template: str, name: str) -> None:
        """Make a database that is a copy of another one, with its settings."""
        made = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(Identifier(name), Identifier(template))
        self._with_nobody_in(template, made)
        for (setting,) in self.run(_SETTINGS, (template,)):
            key, value = str(setting).split("=", 1)
            self.run(SQL("ALTER DATABASE {} SET {} = {}").format(Identifier(name), SQL(key), Literal(value)))

    def shape(self, name: str) -> object:
        """Return what a test that changes tables or settings would change; the limit of locks is set for each test."""
        with psycopg.connect(**self.target(name), autocommit=True) as inside:
            return inside.execute(_SHAPE).fetchall()

    def empty(self, name: str) -> None:
        """Delete the rows that tests have left in a database, and what holds them."""
        self.run(_END_SESSIONS, (name,))
        self._end_prepared(name)
        with psycopg.connect(**self.target(name), autocommit=True) as inside:
            inside.execute(_DELETE_ROWS)
            inside.execute("SELECT pg_stat_reset()")  # a test counts the deadlocks of its database

    def drop(self, name: str) -> None:
        """Drop a database that may be in use."""
        self._with_nobody_in(name, SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))

    def _with_nobody_in(self, database: str, statement: Composed) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self.run(_END_SESSIONS, (database,))
            try:
                self.run(statement)
            except (psycopg.errors.ObjectInUse, psycopg.errors.ObjectNotInPrerequisiteState):
                self._end_prepared(database)
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def _end_prepared(self, database: str) -> None:
        """Roll back what a transaction over several nodes has prepared: it keeps its database from being dropped."""
        for (name,) in self.run("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (database,)):
            with psycopg.connect(**self.target(database), autocommit=True) as inside:
                inside.execute(SQL("ROLLBACK PREPARED {}").format(Literal(name)))

    def target(self, database: str) -> dict[str, Any]:
        """Return how to connect to a database of this node."""
        user = parse_url(URL).username or "postgres"
        return {"host": self.host, "port": self.port, "user": user, "dbname": database}


@dataclass(frozen=True, slots=True)
class ClusterMaker(DatabaseMaker):
    """Makes databases that are on every node of a cluster; the first node is the coordinator."""

    nodes: tuple[Node, ...] = ()
    #: Copies that no test uses at this moment: to make one takes seconds.
    unused: list[str] = field(default_factory=list)
    #: Of the first copy, on each node.
    shapes: list[object] = field(default_factory=list)

    @contextmanager
    def database(self, *, template: str) -> Iterator[str]:
        """Yield the URL of a copy of a database that is on every node; an empty one is on the asked node only."""
        if template == "template0":
            with super(ClusterMaker, self).database(template=template) as url:
                yield url
            return
        if template != name_of_template():
            with self._copied(template) as url:
                yield url
            return
        name = self.unused.pop() if self.unused else self._copy_of(template)
        self._wait_for_locks_as_settings_say(name)
        try:
            yield self.server.url(name)
        finally:
            if self._is_as_before(name):
                self.unused.append(name)
            else:
                self._drop(name)

    def _is_as_before(self, name: str) -> bool:
        """Empty a database, and return whether it can serve another test."""
        try:
            for node in self.nodes:
                node.empty(name)
        except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction):  # as the test has left it
            return False
        return self._shapes(name) == self.shapes

    @contextmanager
    def _copied(self, template: str) -> Iterator[str]:
        """Yield the URL of a copy of a database that a test has filled."""
        name = self._copy_of(template)
        try:
            yield self.server.url(name)
        finally:
            self._drop(name)

    def _drop(self, name: str) -> None:
        for node in self.nodes:
            node.drop(name)

    def _wait_for_locks_as_settings_say(self, name: str) -> None:
        """Have sessions of one node to another wait as long as this test's own do; `db distribute` set the default."""
        limit = in_milliseconds(transaction_limits(Settings.load(database_url=URL))["lock_timeout"])
        for node in self.nodes:
            node.run(SQL("ALTER DATABASE {} SET lock_timeout = {}").format(Identifier(name), Literal(limit)))

    def _copy_of(self, template: str) -> str:
        name = f"{template}_{next(_numbers)}"
        for node in self.nodes:
            node.copy(template, name)
        if not self.shapes:
            self.shapes.extend(self._shapes(name))
        return name

    def _shapes(self, name: str) -> list[object]:
        return [node.shape(name) for node in self.nodes]

    def drop_copies(self) -> None:
        """Drop what tests have used, several of them one after the other."""
        for name in self.unused:
            self._drop(name)

    @contextmanager
    def undistributed(self, name: str) -> Iterator[str]:
        """Yield the URL, at the coordinator, of an empty database that has Citus and every node of the cluster."""
        try:
            for node in self.nodes:
                node.run(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
                with psycopg.connect(**node.target(name), autocommit=True) as inside:
                    inside.execute("CREATE EXTENSION citus")
            first, *others = self.nodes
            with psycopg.connect(**first.target(name), autocommit=True) as inside:
                inside.execute("SELECT citus_set_coordinator_host(%s, %s)", (first.host, first.port))
                for node in others:
                    inside.execute("SELECT citus_add_node(%s, %s)", (node.host, node.port))
                if not others:
                    statement = "SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', true)"
                    inside.execute(statement, (first.host, first.port))
            yield ServerAddress(first.host, first.port, self.server.user).url(name)
        finally:
            for node in self.nodes:
                node.drop(name)


_numbers = itertools.count(1)


@contextmanager
def maker_on_the_cluster() -> Iterator[ClusterMaker]:
    """Connect to the maintenance database of every node of the cluster."""
    target = connection_target(URL).addresses[0]
    server = ServerAddress(str(target.host), target.port, parse_url(URL).username or "postgres")
    with ExitStack() as opened, psycopg.connect(parse_url(URL).set(drivername="postgresql").render_as_string()) as look:
        rows = look.execute(_NODES).fetchall()
        nodes = tuple(Node(host, port, _connected(opened, host, port, server.user)) for host, port in rows)
        asked = next(node.connection for node in nodes if node.port == server.port)
        yield ClusterMaker(server, asked, SQL("STRATEGY FILE_COPY"), nodes)


def _connected(opened: ExitStack, host: str, port: int, user: str) -> psycopg.Connection:
    return opened.enter_context(psycopg.connect(host=host, port=port, user=user, dbname="postgres", autocommit=True))


def name_of_template() -> str:
    """Return the name of the distributed template, unique for each worker of xdist."""
    return f"{name_of_worker()}_citus"
