from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest_asyncio

from livingworld import LivingWorld, Settings, World, WorldRecord
from livingworld.identifiers import new_id


@pytest_asyncio.fixture
async def unreachable() -> AsyncIterator[tuple[LivingWorld, World]]:
    """Give a LivingWorld whose every statement fails: what is refused here was refused before any SQL."""
    settings = Settings.load(
        database_url="postgresql://nobody@127.0.0.1:1/nowhere", outage_retries=0, connect_timeout=timedelta(seconds=1)
    )
    async with LivingWorld.open(settings) as livingworld:
        now: Any = None
        record = WorldRecord(
            id=new_id(),
            key=None,
            name="w",
            tenant=None,
            settings={},
            version=1,
            created_at=now,
            updated_at=now,
            archived_at=None,
        )
        yield livingworld, livingworld.worlds._bind(record)
