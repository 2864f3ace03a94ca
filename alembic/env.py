"""Run the migrations on one connection, in one transaction, when it is this process's turn."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import URL, Connection, inspect

from livingworld.database.embedded import EmbeddedServer
from livingworld.database.engine import unpooled_engine
from livingworld.database.metadata import SCHEMA
from livingworld.database.migrations import comparison_options, take_turn
from livingworld.database.vectors import provision_vectors
from livingworld.schema import metadata
from livingworld.settings import Settings

settings = Settings.load()


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, **comparison_options())
    with context.begin_transaction():
        take_turn(connection, context.config.attributes.get("lock_timeout", settings.migration_lock_timeout))
        context.run_migrations()
        if inspect(connection).has_table("memory_vectors", schema=SCHEMA):
            provision_vectors(connection)


async def migrate_database(url: URL | str) -> None:
    engine = unpooled_engine(url, settings)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


if url := context.config.attributes.get("url") or settings.url():
    asyncio.run(migrate_database(url))
else:
    with EmbeddedServer() as server:
        asyncio.run(migrate_database(server.url()))
