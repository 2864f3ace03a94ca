"""Finished stories, and their move into files, as the tests of it begin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from livingworld import NewScene, Story, World
from livingworld.cli.finished_stories import Archive

DAY: Final = timedelta(days=1)
TEXTS: Final = ("Fog.", "Rain.", "A lantern.")
Hook = Callable[[], Awaitable[object]]


async def completed(world: World, title: str = "The Causeway") -> Story:
    story = await world.stories.create(title)
    for text in TEXTS:
        await world.stories.append_scene(story.id, NewScene(text))
    return await world.stories.update(story.id, status="completed", expected_version=story.version)


def archive_of(world: World, folder: Path, *, before: datetime | None = None) -> Archive:
    return Archive(world, folder, before or datetime.now(UTC) + DAY)


async def put_away(archive: Archive) -> set[UUID | None]:
    return {bundle.story_id async for bundle in archive.put_away()}


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def texts_of(world: World, story_id: UUID) -> list[str]:
    return [scene.content for scene in await world.stories.recent(story_id, 100)]


async def stored(world: World) -> set[UUID]:
    return {story.id for story in (await world.stories.list(include_archived=True)).items}


def beside(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, before: Hook | None, after: Hook | None) -> None:  # noqa: ANN401
    """Have somebody else do something before or after a function."""
    original = getattr(owner, name)

    async def accompanied(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        if before is not None:
            await before()
        result = await original(*arguments, **named)
        if after is not None:
            await after()
        return result

    monkeypatch.setattr(owner, name, accompanied)
