"""The roles that `livingworld db roles` makes, with logins for a test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livingworld.postgres.roles import make_roles
from livingworld.settings.database_url import parse_url
from livingworld.testing.staged_races import connected


@dataclass(frozen=True)
class Roles:
    """The URLs of one database as each role."""

    owner: str
    application: str
    reader: str


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
