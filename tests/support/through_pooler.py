"""pytest -p tests.support.through_pooler: a LivingWorld of a test reaches its database through PgBouncer.

PgBouncer is in transaction mode and gives each transaction the session that was idle longest: nearly always another.
What the test itself connects to (who holds a lock, who watches the sessions) is the server. Notifications come by a
connection of their own, as docs/guides/pooler.md says; a test that declares the pooler itself says whether they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from sqlalchemy import URL, make_url

from livingworld.errors import InvalidSettings
from livingworld.settings.database_url import parse_url
from livingworld.settings.settings import Settings
from livingworld.testing import protocol_proxy
from livingworld.testing.databases import DatabaseMaker, database_maker_on
from livingworld.testing.server import ServerAddress
from livingworld.testing.staged_races import connection_arguments

_MARK: Final = "direct_connection"
#: As many as the tests need at once: more calls than sessions would wait for each other behind a row that a test holds.
_SESSIONS: Final = 60
_END_SESSIONS: Final = """
    SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
    WHERE datname = %s AND backend_type = 'client backend'
"""
#: The sessions that transactions have now. One of a transaction that has not begun, or is over, is the pooler's.
_END_THOSE_AT_WORK: Final = """
    SELECT coalesce(bool_and(pg_terminate_backend(pid, 5000)), CAST($1 AS bigint) IS NOT NULL) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'livingworld' AND state <> 'idle'
"""


class Redirection:
    """Leads from the server of the session to the pooler in front of a database."""

    def __init__(self, server: ServerAddress, *, prepared: bool) -> None:
        self._server = make_url(server.url("any"))
        #: Where each database is reached, by its name.
        self.poolers: dict[str | None, URL] = {}
        self._declared = {"behind_pooler": True, "prepared_statements": prepared}
        self._load, self._url = Settings.load.__func__, Settings.url  # type: ignore[attr-defined]

    def begin(self, patched: pytest.MonkeyPatch) -> None:
        """Put each LivingWorld that is opened from now on, and each proxy, behind the pooler."""
        from tests.support import killed_sessions, pooler  # noqa: PLC0415 - pytest loads what it imports itself

        patched.setattr(Settings, "load", classmethod(lambda cls, **given: self._load(cls, **self.declared(given))))
        through = self._through
        patched.setattr(Settings, "url", lambda settings: through(settings))  # noqa: PLW0108 - a method of Settings
        patched.setattr(pooler, "url_of_the_run", self.of_the_server)
        patched.setattr(killed_sessions, "END", _END_THOSE_AT_WORK)
        # A fault happens between the program and the pooler.
        patched.setattr(protocol_proxy, "connection_arguments", lambda url: connection_arguments(self.redirected(url)))

    def declared(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the settings with the pooler, unless they have it, or set limits that no pooler takes."""
        named = {name: value for name, value in given.items() if value is not None}
        url = self._of_a_test(named.get("database_url"))
        if url is None or named.get("behind_pooler") or named.get("limits") == "session":
            return given
        direct = self._direct(url).render_as_string(hide_password=False)
        return (
            given
            | self._declared
            | {"direct_database_url": direct}
            | {name: value for name, value in named.items() if name != "behind_pooler"}
        )

    def redirected(self, url: str) -> str:
        """Return the URL through the pooler of a database of the server; another one is left as it is."""
        found = make_url(url)
        return self._moved(found).render_as_string(hide_password=False) if self._is_on_the_server(found) else url

    def of_the_server(self, url: str) -> str:
        """Return the URL for a pooler that a test makes itself, which is in front of the server too."""
        from tests.support.run_role import url_of_the_run  # noqa: PLC0415 - pytest loads what it imports itself

        found = make_url(url_of_the_run(url))
        if self._is_on_the_server(make_url(url)):
            found = found.set(host=self._server.host, port=self._server.port, query=self._server.query)
        return found.render_as_string(hide_password=False)

    def _through(self, settings: Settings) -> URL | None:
        url = self._url(settings)
        if url is None or not settings.behind_pooler or not self._is_on_the_server(url):
            return url
        return self._moved(url)

    def _moved(self, url: URL) -> URL:
        return url.update_query_dict(self.poolers[url.database].query).set(host=None, port=None)

    def _direct(self, url: URL) -> URL:
        """Return the URL of the same database at the server; the given one may lead through a proxy."""
        return self._server.set(database=url.database)

    def _of_a_test(self, url: object) -> URL | None:
        text = url.get_secret_value() if hasattr(url, "get_secret_value") else url
        try:
            found = parse_url(text) if isinstance(text, str) else None
        except InvalidSettings:
            return None
        if found is None or found.username != self._server.username:
            return None
        return found if found.database in self.poolers else None

    def _is_on_the_server(self, url: URL) -> bool:
        if url.database not in self.poolers:
            return False
        place = (url.username, url.host, url.port, url.query.get("host"), url.query.get("port"))
        server = self._server
        return place == (server.username, server.host, server.port, server.query.get("host"), server.query.get("port"))


@dataclass(frozen=True, slots=True)
class PooledMaker(DatabaseMaker):
    """Makes databases with a pooler in front of each: one that ends by itself fails one test."""

    redirection: Redirection

    @contextmanager
    def database(self, *, template: str) -> Iterator[str]:
        """Yield the URL of a copy, at the server; sessions that poolers still have with the template are ended."""
        from tests.support.pooler import keeps_statements, pooled  # noqa: PLC0415 - pytest loads what it imports itself

        more = {"max_prepared_statements": 200} if keeps_statements() else {}
        self.connection.execute(_END_SESSIONS, (template,))
        with (
            super(PooledMaker, self).database(template=template) as url,
            pooled(url, sessions=_SESSIONS, server_round_robin=1, max_client_conn=1000, **more) as through,
        ):
            name = make_url(url).database
            self.redirection.poolers[name] = make_url(through)
            yield url
            del self.redirection.poolers[name]


@pytest.fixture(scope="session")
def database_maker(postgresql_server: ServerAddress) -> Iterator[DatabaseMaker]:
    from tests.support.pooler import keeps_statements  # noqa: PLC0415 - pytest loads what it imports itself

    redirection = Redirection(postgresql_server, prepared=keeps_statements())
    with database_maker_on(postgresql_server) as maker, pytest.MonkeyPatch.context() as patched:
        redirection.begin(patched)
        yield PooledMaker(maker.server, maker.connection, maker.strategy, redirection)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot hold through a pooler, and say why."""
    for item in items:
        if (mark := item.get_closest_marker(_MARK)) is not None:
            (why,) = mark.args
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_configure(config: pytest.Config) -> None:
    """Put this fixture in the place of the package's."""
    fixtures = config.pluginmanager.get_plugin("livingworld.testing.fixtures")
    setattr(fixtures, database_maker.__name__, database_maker)
