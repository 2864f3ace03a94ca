"""Finished stories go into files: wherever it is interrupted, a story is in the database or in a verified bundle."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from livingworld import LivingWorld, NewScene, Story, World, verify_bundle
from livingworld.cli import finished_stories
from livingworld.errors import Archived, BundleDamaged, BundleFileFailed, StoryNotFound
from tests.support.finished_stories import (
    DAY,
    TEXTS,
    archive_of,
    beside,
    completed,
    files_in,
    put_away,
    stored,
    texts_of,
)


class Killed(BaseException):
    """The process ends here."""


async def test_finished_stories_go_into_files_and_come_back(world: World, tmp_path: Path) -> None:
    finished, going_on = await completed(world), await world.stories.create("Another one")

    assert await put_away(archive_of(world, tmp_path)) == {finished.id}
    assert await stored(world) == {going_on.id}
    (path,) = await asyncio.to_thread(files_in, tmp_path)
    assert (await world.import_story(path)).id == finished.id
    assert await texts_of(world, finished.id) == list(TEXTS)
    assert path.stat().st_mode & 0o077 == 0


async def test_what_was_played_lately_stays_as_it_is(world: World, tmp_path: Path) -> None:
    story = await completed(world)

    assert await put_away(archive_of(world, tmp_path, before=datetime.now(UTC) - DAY)) == set()
    assert (await world.stories.get(story.id)).archived_at is None


def killed(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool, nth: int = 1) -> None:  # noqa: ANN401
    """Have the process end before or after the nth call of a function."""
    original, left = getattr(owner, name), [nth]

    async def dying(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        left[0] -= 1
        if not left[0] and not after:
            raise Killed
        result = await original(*arguments, **named)
        if not left[0]:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, dying)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("owner", "step", "nth"),
    [
        (World, "run", 1),
        (World, "export_story", 1),
        (asyncio, "to_thread", 4),
        (World, "run", 2),
        (finished_stories, "_remove", 1),
    ],
)
async def test_wherever_it_is_killed_a_story_is_in_the_database_or_in_a_verified_file(
    world: World,
    tmp_path: Path,
    owner: Any,  # noqa: ANN401
    step: str,
    nth: int,
    *,
    after: bool,
) -> None:
    story = await completed(world)
    with pytest.MonkeyPatch.context() as patched:
        killed(patched, owner, step, after=after, nth=nth)
        with pytest.raises(Killed):
            await put_away(archive_of(world, tmp_path))

    if story.id in await stored(world):
        assert await texts_of(world, story.id) == list(TEXTS)
    else:
        (path,) = files_in(tmp_path)
        assert verify_bundle(path).counts["scenes"] == len(TEXTS)

    await put_away(archive_of(world, tmp_path))
    assert await stored(world) == set()
    (path,) = files_in(tmp_path)
    await world.import_story(path)
    assert await texts_of(world, story.id) == list(TEXTS)


async def test_a_file_with_other_content_than_was_written_removes_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, other = await completed(world), await world.stories.create("Another one")
    elsewhere = await world.export_story(other.id, tmp_path / "another.jsonl")
    monkeypatch.setattr(finished_stories, "verify_bundle", lambda _: elsewhere)

    with pytest.raises(BundleFileFailed, match="another content"):
        await put_away(archive_of(world, tmp_path))
    assert await stored(world) == {story.id, other.id}


async def test_a_file_that_was_damaged_before_it_was_read_again_removes_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = await completed(world)

    async def damage() -> None:
        (path,) = files_in(tmp_path)
        path.write_bytes(path.read_bytes().replace(b"A lantern.", b"A lintern."))

    beside(monkeypatch, World, "export_story", before=None, after=damage)
    with pytest.raises(BundleDamaged):
        await put_away(archive_of(world, tmp_path))
    assert await stored(world) == {story.id}


async def test_a_story_that_is_restored_and_played_while_its_file_is_written_stays(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = await completed(world)

    async def play_and_close_again() -> None:
        await world.stories.restore(story.id)
        await world.stories.append_scene(story.id, NewScene("On."))
        await world.stories.archive(story.id)

    beside(monkeypatch, World, "export_story", before=None, after=play_and_close_again)
    assert await put_away(archive_of(world, tmp_path)) == set()
    assert await texts_of(world, story.id) == [*TEXTS, "On."]
    assert files_in(tmp_path) == []


async def test_a_story_that_is_played_after_it_was_listed_is_not_archived(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = await completed(world)
    moment = datetime.now(UTC)

    async def play() -> None:
        await world.stories.append_scene(story.id, NewScene("On."))

    beside(monkeypatch, World, "run", before=play, after=None)
    assert await put_away(archive_of(world, tmp_path, before=moment)) == set()
    assert (await world.stories.get(story.id)).archived_at is None


async def test_no_scene_of_a_writer_at_the_same_time_is_lost(world: World, tmp_path: Path) -> None:
    stories = [await completed(world, f"Story {number}") for number in range(8)]

    async def write(story: Story) -> int:
        """Return how many scenes were answered before the story was closed."""
        count = len(TEXTS)
        while True:
            try:
                await world.stories.append_scene(story.id, NewScene("On."))
            except (Archived, StoryNotFound):
                return count
            count += 1

    counts, _ = await asyncio.gather(asyncio.gather(*map(write, stories)), put_away(archive_of(world, tmp_path)))

    bundles = [verify_bundle(path) for path in files_in(tmp_path)]
    assert {each.story_id: each.counts["scenes"] for each in bundles} == {
        story.id: count for story, count in zip(stories, counts, strict=True)
    }


async def test_words_that_are_indexed_between_two_exports_are_no_other_content(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVINGWORLD_INDEX_WORDS", "false")
    story = await completed(world)
    exported = World.export_story

    async def index_and_export_again() -> None:
        await world.search.index()
        (path,) = files_in(tmp_path)
        await exported(world, story.id, path)

    beside(monkeypatch, World, "export_story", before=None, after=index_and_export_again)
    assert await put_away(archive_of(world, tmp_path)) == {story.id}


async def test_three_at_once_leave_one_whole_file_of_each_story(livingworld: LivingWorld, tmp_path: Path) -> None:
    world = await livingworld.worlds.create("Saltmarsh")
    stories = {(await completed(world, f"Story {number}")).id for number in range(6)}

    ends = await asyncio.gather(*(put_away(archive_of(world, tmp_path)) for _ in range(3)))

    assert set().union(*ends) == stories
    assert await stored(world) == set()
    bundles = [verify_bundle(path) for path in files_in(tmp_path)]
    assert sorted(each.counts["scenes"] for each in bundles) == [len(TEXTS)] * len(stories)
