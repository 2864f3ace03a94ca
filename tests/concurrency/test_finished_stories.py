"""A finished story that others play, restore or put away too is removed only where its own file has all of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from livingworld import NewScene, World, verify_bundle
from livingworld.cli import finished_stories
from livingworld.testing.staged_races import Holder, holding
from tests.support.finished_stories import TEXTS, archive_of, beside, completed, files_in, put_away, stored, texts_of
from tests.support.patience import patiently
from tests.support.staging import race

PLAYED: Final = """
    UPDATE livingworld.stories SET last_scene_at = now() + interval '1 day' WHERE world_id = $1 AND story_id = $2
"""
RESTORED: Final = """
    UPDATE livingworld.stories SET archived_at = NULL, version = version + 1 WHERE world_id = $1 AND story_id = $2
"""


async def test_a_story_that_is_being_played_when_its_turn_comes_is_not_archived(
    database_url: str, world: World, tmp_path: Path
) -> None:
    story = await completed(world)
    moving = put_away(archive_of(world, tmp_path, before=datetime.now(UTC)))

    assert await race(database_url, PLAYED, [world.id, story.id], [moving], blocked=1, commit=True) == [set()]
    assert (await world.stories.get(story.id)).archived_at is None


async def test_a_story_that_is_being_restored_when_its_file_is_written_stays(
    database_url: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = await completed(world)
    held: asyncio.Future[Holder] = asyncio.get_running_loop().create_future()

    async with patiently(), AsyncExitStack() as stack:

        async def begin() -> None:
            restoring = holding(database_url, RESTORED, [world.id, story.id], commit=True)
            held.set_result(await stack.enter_async_context(restoring))

        beside(monkeypatch, World, "export_story", before=None, after=begin)
        moving = asyncio.create_task(put_away(archive_of(world, tmp_path)))
        await (await held).until_blocked()
    assert await moving == set()
    assert await texts_of(world, story.id) == list(TEXTS)
    assert files_in(tmp_path) == []


def removes_later(monkeypatch: pytest.MonkeyPatch, at_its_removal: asyncio.Event, over: asyncio.Event) -> None:
    """Have the first one who would remove a story say so, and wait until something is over."""
    remove = finished_stories._remove

    async def later(*arguments: Any) -> bool:  # noqa: ANN401 - as the function
        if not at_its_removal.is_set():
            at_its_removal.set()
            await over.wait()
        return await remove(*arguments)

    monkeypatch.setattr(finished_stories, "_remove", later)


async def test_who_finds_that_a_story_went_on_removes_no_file_of_another_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, export = await completed(world), World.export_story
    others: list[asyncio.Task[Any]] = []
    at_its_removal, over = asyncio.Event(), asyncio.Event()
    removes_later(monkeypatch, at_its_removal, over)

    async def overtaken() -> None:
        monkeypatch.setattr(World, "export_story", export)
        await world.stories.restore(story.id)
        await world.stories.append_scene(story.id, NewScene("On."))
        others.append(asyncio.create_task(put_away(archive_of(world, tmp_path))))
        await at_its_removal.wait()

    beside(monkeypatch, World, "export_story", before=None, after=overtaken)
    async with patiently():
        assert await put_away(archive_of(world, tmp_path)) == set()
        over.set()
        assert await others[0] == {story.id}
    (path,) = files_in(tmp_path)
    assert verify_bundle(path).counts["scenes"] == len(TEXTS) + 1
    assert await stored(world) == set()
