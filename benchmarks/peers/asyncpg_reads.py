"""What a careful person writes by hand to read: a pool without reset, prepared statements, simple dataclasses.

Right for a story without branches: the last scenes are those with the highest numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import asyncpg

from livingworld.testing.staged_races import connection_arguments

SCENE = """
    s.scene_number, s.parent_scene_number, s.position, s.content, s.chosen_choice, s.choices, s.location, s.story_time,
    s.metadata, s.version, s.created_at, s.updated_at, (
        SELECT jsonb_agg(jsonb_build_array(c.character_id, h.name, c.role, c.importance) ORDER BY c.character_id)
        FROM livingworld.scene_cast c
        JOIN livingworld.characters h ON h.world_id = c.world_id AND h.character_id = c.character_id
        WHERE c.world_id = s.world_id AND c.story_id = s.story_id AND c.scene_number = s.scene_number
    ) AS members
"""
HEAD = f"""
    SELECT t.title, t.premise, t.system_prompt, t.status, t.last_scene_number, t.current_branch, t.settings,
        t.version AS story_version, t.created_at AS story_created_at, t.updated_at AS story_updated_at, t.archived_at,
        b.name, b.head_scene_number, b.head_position, {SCENE}
    FROM livingworld.stories t
    JOIN livingworld.branches b
        ON b.world_id = t.world_id AND b.story_id = t.story_id AND b.branch_number = t.current_branch
    JOIN livingworld.scenes s
        ON s.world_id = t.world_id AND s.story_id = t.story_id AND s.scene_number = b.head_scene_number
    WHERE t.world_id = $1 AND t.story_id = $2
"""  # noqa: S608 - our own words
RECENT = f"""
    SELECT {SCENE} FROM livingworld.scenes s WHERE s.world_id = $1 AND s.story_id = $2
    ORDER BY s.scene_number DESC LIMIT $3
"""  # noqa: S608 - our own words
CHARACTER = """
    SELECT c.character_id, c.name, c.card, c.version, c.created_at, c.updated_at, ARRAY(
        SELECT o.name FROM livingworld.character_names o
        WHERE o.world_id = c.world_id AND o.character_id = c.character_id ORDER BY o.created_at
    ) AS names
    FROM livingworld.character_names n
    JOIN livingworld.characters c ON c.world_id = n.world_id AND c.character_id = n.character_id
    WHERE n.world_id = $1 AND n.name_key = $2
"""


@dataclass
class Scene:
    """A scene."""

    number: int
    parent_number: int | None
    position: int
    content: str
    chosen_choice: int | None
    choices: list[str]
    location: str | None
    story_time: str | None
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    cast: list[list[Any]]


@dataclass
class Head:
    """A story, its branch and its last scene."""

    title: str
    premise: str
    system_prompt: str
    status: str
    scene_count: int
    current_branch: int
    settings: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    branch: str
    head: int
    length: int
    scene: Scene


@dataclass
class Character:
    """A character."""

    id: UUID
    name: str
    card: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    names: list[str]


class HandWrittenReads:
    """A pool; asyncpg prepares each statement once on each connection."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size

    async def __aenter__(self) -> Self:
        arguments = {"min_size": self._size, "max_size": self._size, **connection_arguments(self._url)}
        self._pool = await asyncpg.create_pool(**arguments, init=_read_json, reset=_no_reset)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def head(self, world_id: UUID, story_id: UUID) -> Head:
        """Return the head of a story."""
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(HEAD, world_id, story_id)
        assert row is not None
        return Head(*row[:14], Scene(*row[14:]))  # type: ignore[call-arg]  # a part of a row has no length

    async def recent(self, world_id: UUID, story_id: UUID, count: int) -> list[Scene]:
        """Return the last scenes of a story, oldest first."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(RECENT, world_id, story_id, count)
        return [Scene(*row) for row in reversed(rows)]

    async def character(self, world_id: UUID, key: str) -> Character:
        """Return the character of a name."""
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(CHARACTER, world_id, key)
        assert row is not None
        return Character(*row)


async def _read_json(connection: Any) -> None:  # noqa: ANN401 - asyncpg's connection
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _no_reset(_: Any) -> None:  # noqa: ANN401 - asyncpg's connection
    """Leave the session as it is."""
