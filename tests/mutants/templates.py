"""Migrated databases of which a run makes its template: one for all runs, and one with a changed function for a guard.

A plugin of pytest too: in a run it takes the place of the migration.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Final

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import make_url

from tests.mutants.guard_list import ROOT, GuardToRemove

#: Names the database of which the template of a run is a copy.
VARIABLE: Final = "MUTANTS_TEMPLATE"
_MIGRATED: Final = "livingworld_mutants"
_COPY: Final = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
_numbers = count(1)


class Templates:
    """The templates on one server."""

    def __init__(self, url: str) -> None:
        """`url` is that of the server's maintenance database; migrates the template of most runs."""
        from livingworld.postgres import migrations  # noqa: PLC0415 - a run has the package of its copy

        self._url = url
        _execute(url, SQL("CREATE DATABASE {}").format(Identifier(_MIGRATED)))
        asyncio.run(migrations.upgrade(make_url(url).set(database=_MIGRATED)))

    @contextmanager
    def without(self, guard: GuardToRemove | None) -> Iterator[str]:
        """Yield the template of a run without a guard; an empty name when the run has to migrate by itself."""
        if guard is None or not guard.is_in_migrations:
            yield _MIGRATED
        elif not guard.is_in_function:
            yield ""
        else:
            name = f"{_MIGRATED}_{next(_numbers)}"
            _execute(self._url, _COPY.format(Identifier(name), Identifier(_MIGRATED)))
            _execute(make_url(self._url).set(database=name).render_as_string(), SQL("{}").format(_function(guard)))
            yield name
            _execute(self._url, SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _function(guard: GuardToRemove) -> SQL:
    sys.path.append(str(ROOT / "alembic"))
    from render_sql import render_function  # noqa: PLC0415 - the folder is no package

    text = (ROOT / guard.file).read_text(encoding="utf-8").replace(guard.takes_out, guard.leaves, 1)
    return SQL(render_function(text).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1))


def _execute(url: str, statement: SQL | Composed) -> None:
    given = make_url(url)
    host = given.host or str(given.query["host"])
    with psycopg.connect(host=host, user=given.username, dbname=given.database, autocommit=True) as connection:
        connection.execute(statement)


def pytest_configure(config: pytest.Config) -> None:
    """Copy the template of the run instead of migrating one."""
    del config
    if name := os.environ.get(VARIABLE):
        from livingworld.testing import fixtures  # noqa: PLC0415 - conftest.py has imported it, as a plugin

        fixtures._make_template = partial(_copy_of, name)


async def _copy_of(template: str, url: str) -> None:
    new = make_url(url)
    postgres = new.set(database="postgres").render_as_string()
    name = Identifier(new.database or "")
    _execute(postgres, SQL("ALTER DATABASE {} IS_TEMPLATE false").format(name))
    _execute(postgres, SQL("DROP DATABASE {}").format(name))
    _execute(postgres, _COPY.format(name, Identifier(template)))
