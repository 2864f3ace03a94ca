"""What is stored at the end of a phase, asked of PostgreSQL and not of the library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from livingworld.postgres.connections.scope import scope_of
from livingworld.postgres.connections.scoped_transport import TENANT, WORLD
from livingworld.settings.settings import Settings
from livingworld.testing.history import Observed
from livingworld.testing.history.operations import Value
from livingworld.testing.staged_races import Connection, connected
from livingworld.testing.stress.stage import CARRIED, COUNTER, DOCUMENTS, LEASE, MARK, UNEMBEDDED, Stage, facts_of

_SCENES: Final = """
    SELECT story_id::text AS target, scene_number AS number, content AS value FROM livingworld.scenes
    WHERE world_id = $1 ORDER BY story_id, scene_number
"""
_CARRIED: Final = """
    SELECT story_id::text AS target FROM livingworld.stories WHERE world_id = $1 AND title = $2
"""
_UNEMBEDDED: Final = """
    SELECT m.content AS value FROM livingworld.memory_embedders AS e
    CROSS JOIN LATERAL unnest(ARRAY[e.embedder, e.next_embedder]) AS wanted (name)
    JOIN livingworld.memories AS m ON m.world_id = $1
    WHERE e.world_id = $1 AND wanted.name IS NOT NULL AND NOT EXISTS (
        SELECT FROM livingworld.memory_vectors AS v
        WHERE v.world_id = $1 AND v.memory_id = m.memory_id AND v.embedder = wanted.name
    ) AND NOT EXISTS (
        SELECT FROM livingworld.memory_embedding_jobs AS j
        WHERE j.world_id = $1 AND j.memory_id = m.memory_id AND j.embedder = wanted.name
    )
"""
_FACTS: Final = """
    SELECT story_id::text AS target, attribute AS value FROM livingworld.facts
    WHERE world_id = $1 AND subject = $2 ORDER BY story_id, scene_number
"""
_DOCUMENTS: Final = """
    SELECT key AS target, version AS number, value ->> 'value' AS value FROM livingworld.document_versions
    WHERE world_id = $1 AND key = ANY($2) ORDER BY key, version
"""
_COUNTER: Final = "SELECT value::text::integer FROM livingworld.documents WHERE world_id = $1 AND key = $2"
_ACTIONS: Final = """
    SELECT lane AS target, payload ->> 'value' AS value, state = 'done' AS is_done FROM livingworld.actions
    WHERE world_id = $1 ORDER BY lane, ended_number
"""
_SCOPE: Final = f"SELECT set_config('{WORLD}', $1, true), set_config('{TENANT}', $2, true)"
_DEADLOCKS: Final = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def direct_url(url: str) -> str:
    """Return where to look past a pooler: `LIVINGWORLD_DIRECT_DATABASE_URL`, else the database itself."""
    direct = Settings.load().direct_database_url
    return url if direct is None else direct.get_secret_value()


async def observe(url: str, stage: Stage) -> Observed:
    """Return what is stored of a stage."""
    world, aside = UUID(stage.world), UUID(stage.aside)
    async with connected(direct_url(url)) as connection:
        async with _reading(connection, aside):
            unembedded = [row["value"] for row in await connection.fetch(_UNEMBEDDED, aside)]
        async with _reading(connection, world):
            return await _observe(connection, world, stage, unembedded)


@asynccontextmanager
async def _reading(connection: Connection, world: UUID) -> AsyncIterator[None]:
    """Open a transaction that sees the rows of a world also where row-level security shows only those of one."""
    async with connection.transaction(readonly=True):
        await connection.execute(_SCOPE, *scope_of(world, None))
        yield


async def _observe(connection: Connection, world: UUID, stage: Stage, unembedded: list[Value]) -> Observed:
    scenes = _by_number(await connection.fetch(_SCENES, world))
    facts = await connection.fetch(_FACTS, world, f"={MARK}")
    documents = _by_number(await connection.fetch(_DOCUMENTS, world, list(DOCUMENTS)))
    counter = await connection.fetchval(_COUNTER, world, COUNTER)
    actions = await connection.fetch(_ACTIONS, world)
    carried = [row["target"] for row in await connection.fetch(_CARRIED, world, CARRIED)]
    lists = {story: scenes.get(story, []) for story in (*map(str, stage.lists), *carried)}
    lists[UNEMBEDDED] = list(unembedded)
    lists[stage.merged] = [word for text in scenes.get(stage.merged, ()) for word in str(text).split()]
    lists |= {facts_of(story): [row["value"] for row in facts if row["target"] == story] for story in stage.stories}
    return Observed(
        lists,  # type: ignore[arg-type]  # a missing number is None, which no call asked for
        {COUNTER: counter or 0},
        documents,
        {LEASE: [int(text) for text in scenes.get(stage.fenced, ()) if text is not None]},
        _lanes(row for row in actions if row["is_done"]),
        _lanes(row for row in actions if not row["is_done"]),
        {story: list(range(1, len(scenes.get(story, ())) + 1)) for story in stage.stories},
    )


async def deadlocks(connection: Connection) -> int:
    """Return how many deadlocks PostgreSQL has ended in this database so far."""
    found: int = await connection.fetchval(_DEADLOCKS)
    return found


def _by_number(rows: Iterable[Any]) -> Mapping[str, list[Value | None]]:
    """Return the values of each target at their numbers, with None where a number is missing."""
    found: defaultdict[str, list[Value | None]] = defaultdict(list)
    for row in rows:
        values = found[row["target"]]
        values += [None] * (row["number"] - 1 - len(values))
        values.append(row["value"])
    return found


def _lanes(rows: Iterable[Any]) -> Mapping[str, list[Value]]:
    found: defaultdict[str, list[Value]] = defaultdict(list)
    for row in rows:
        found[row["target"]].append(row["value"])
    return found
