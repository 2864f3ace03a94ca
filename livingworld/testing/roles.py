"""The roles that `livingworld db roles` makes, with logins for a test."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Final

import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL

from livingworld.postgres.roles import make_roles
from livingworld.settings.database_url import parse_url
from livingworld.settings.settings import Settings
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.databases import SESSION, DatabaseMaker, name_of_worker
from livingworld.testing.staged_races import connected


@dataclass(frozen=True)
class Roles:
    """The URLs of one database as each role."""

    owner: str
    application: str
    reader: str


#: What a test run may be asked to be, instead of the owner of the tables, wherever it opens a LivingWorld.
VARIABLE: Final = "LIVINGWORLD_TEST_ROLE"


@dataclass(frozen=True)
class RunAs:
    """The role of a test run: the application's, whose rights the template has and each copy of it."""

    #: The group, whose name is unique for each session; its login has the same as its password.
    group: str = field(default_factory=lambda: f"{name_of_worker()} application")
    #: Whether the databases show each transaction one world.
    isolated: bool = False
    #: Whether every LivingWorld is opened as the owner for a while.
    left: ClassVar[bool] = False

    @classmethod
    def chosen(cls) -> RunAs | None:
        """Return what the environment asks for; None: the owner."""
        kinds = {"application": cls(), "isolated": cls(isolated=True), "": None}
        return kinds[os.environ.get(VARIABLE, "")]

    async def prepare(self, url: str) -> None:
        """Give the role its rights in the template."""
        await make_roles(url, self.group, f"{self.group} reader")
        if self.isolated:
            await isolate(url, on=True, lock_timeout=timedelta(seconds=10))

    @contextmanager
    def in_force(self, maker: DatabaseMaker) -> Iterator[None]:
        """Make the login, and have every LivingWorld of this process use it, until the block ends."""
        login, group = f"{self.group} login", Identifier(self.group)
        maker.connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(group))
        made = SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}")
        maker.connection.execute(made.format(Identifier(login), self.group, group))
        owner = maker.server.user

        def as_login(url: URL | None) -> URL | None:
            if url is None or RunAs.left or (url.username, (url.database or "")[: len(SESSION)]) != (owner, SESSION):
                return url  # no database of this session, whose server has the role
            return url.set(username=login, password=self.group)

        with pytest.MonkeyPatch.context() as patched:
            for name in ("url", "listening_url"):
                read = getattr(Settings, name)
                patched.setattr(Settings, name, lambda settings, read=read: as_login(read(settings)))
            if self.isolated:
                patched.setenv("LIVINGWORLD_ROW_SECURITY", "true")
            yield
        for role in (login, self.group, f"{self.group} reader"):
            maker.connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))


@contextmanager
def as_owner() -> Iterator[None]:
    """Open each LivingWorld as the owner until the block ends, whatever LIVINGWORLD_TEST_ROLE is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RunAs, "left", True)
        yield


@asynccontextmanager
async def made_roles(url: str) -> AsyncIterator[Roles]:
    """Make both roles in a database, each with a login that is a member; they end with the block."""
    group = f"livingworld_test_{secrets.token_hex(6)}"
    names = [f"{group} {kind}" for kind in ("application", "reader")]
    logins = {name: f"{name} login" for name in names}
    async with connected(url) as owner:
        try:
            await make_roles(url, *names)
            for name, login in logins.items():
                await owner.execute(f'CREATE ROLE "{login}" LOGIN PASSWORD \'{group}\' IN ROLE "{name}"')
            found = [parse_url(url).set(username=login, password=group) for login in logins.values()]
            yield Roles(url, *(each.render_as_string(hide_password=False) for each in found))
        finally:
            for role in (*logins.values(), *logins):
                await owner.execute(
                    f"DO $$BEGIN IF to_regrole('\"{role}\"') IS NOT NULL THEN"
                    f' DROP OWNED BY "{role}"; DROP ROLE "{role}"; END IF; END$$'
                )
