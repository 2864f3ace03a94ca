"""A LivingWorld whose transactions wait as long as a test wants to look at them, as the owner, who sees everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest_asyncio

from livingworld import LivingWorld, Settings
from tests.support.patience import NEVER

#: These three nest.
PATIENT: Final = {"lock_timeout": NEVER, "statement_timeout": 2 * NEVER, "command_timeout": 3 * NEVER}


@pytest_asyncio.fixture
async def livingworld(database_url: str) -> AsyncIterator[LivingWorld]:
    settings = Settings.load(database_url=database_url, call_timeout=NEVER, **PATIENT)
    async with LivingWorld.open(settings) as opened:
        yield opened
