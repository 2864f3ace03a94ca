"""One isolated database for each module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from pytest_postgresql.executors import NoopExecutor

from livingworld import LivingWorld
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.databases import DatabaseMaker
from livingworld.testing.roles import made_roles
from tests.integration.doctor.lived_world import live
from tests.support.isolated import SOON, Isolated, declared


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def isolated(database_maker: DatabaseMaker, migrated_template: NoopExecutor) -> AsyncIterator[Isolated]:
    """Give one database for the module."""
    with database_maker.database(template=migrated_template.template_dbname) as url:
        async with made_roles(url) as roles:
            await isolate(url, on=True, lock_timeout=SOON)
            async with LivingWorld.open(declared(roles.application, index_words=False)) as livingworld:
                own, other = [await live(livingworld) for _ in range(2)]
            yield Isolated(roles, own, other)
