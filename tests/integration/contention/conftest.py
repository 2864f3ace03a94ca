"""A LivingWorld whose transactions wait as long as a test wants to look at them, in a role that sees every session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from psycopg.sql import SQL, Identifier

from livingworld import LivingWorld, Settings
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.roles import RunAs
from tests.support.patience import NEVER

#: These three nest.
PATIENT: Final = {"lock_timeout": NEVER, "statement_timeout": 2 * NEVER, "command_timeout": 3 * NEVER}


@pytest.fixture(scope="module", autouse=RunAs.chosen() is not None)
def shown_statistics(database_maker: DatabaseMaker, role_of_the_run: RunAs) -> None:
    """Let the role of the run see what the sessions of other roles do."""
    grant = SQL("GRANT pg_read_all_stats TO {}").format(Identifier(role_of_the_run.group))
    database_maker.connection.execute(grant)


@pytest_asyncio.fixture
async def livingworld(database_url: str) -> AsyncIterator[LivingWorld]:
    settings = Settings.load(database_url=database_url, call_timeout=NEVER, **PATIENT)
    async with LivingWorld.open(settings) as opened:
        yield opened
