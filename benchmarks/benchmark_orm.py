"""The pattern most programs use: lock the story with the ORM, add the scene, commit."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import registry

from livingworld import schema


class Story:
    """A row of the table stories."""


class Branch:
    """A row of the table branches."""


class Scene:
    """A row of the table scenes."""


_mappings = registry()
for _class, _table in {
    Story: schema.stories,
    Branch: schema.branches,
    Scene: schema.scenes,
}.items():
    # The tables have a column `metadata`, a name that the declarative ORM keeps for itself.
    _mappings.map_imperatively(_class, _table, properties={"extra": _table.c.metadata} if _class is Scene else {})


class OrmPattern:
    """An engine and its sessions."""

    def __init__(self, url: str, size: int) -> None:
        self._engine = create_async_engine(url, pool_size=size, isolation_level="READ COMMITTED")
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._engine.dispose()

    async def append(self, world_id: UUID, story_id: UUID, content: str, choices: Sequence[str]) -> int:
        """Append one scene and return its number."""
        key: dict[str, Any] = {"world_id": world_id, "story_id": story_id}
        async with self._sessions() as session, session.begin():
            story: Any = (await session.scalars(select(Story).filter_by(**key).with_for_update())).one()
            branch: Any = await session.get_one(Branch, {**key, "branch_number": story.current_branch})
            number = story.last_scene_number + 1
            place = {"timeline_number": branch.head_timeline, "position": branch.head_position + 1}
            session.add(
                _make(
                    Scene,
                    **key,
                    **place,
                    scene_number=number,
                    content=content,
                    choices=list(choices),
                    parent_scene_number=branch.head_scene_number,
                )
            )
            story.last_scene_number = number
            branch.head_scene_number, branch.head_position = number, place["position"]
        return int(number)


def _make(kind: type[Any], **values: object) -> object:
    row = kind()
    for name, value in values.items():
        setattr(row, name, value)
    return row
