"""Where the largest tables are cut by world, a world and a story go out and come back, and a person is erased."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from livingworld import Bundle, Erased, LivingWorld, Settings
from livingworld.doctor import Doctor
from livingworld.errors import Fenced
from livingworld.postgres import migrations
from livingworld.postgres.distribution.partitioning import partition
from livingworld.schema import metadata
from livingworld.story.worlds.isolation import keep_isolated
from livingworld.testing.partitions import VARIABLE
from tests.support.a_person import WORD, columns_with_the_word, leave_words, playing
from tests.support.every_write import furnish
from tests.support.stored_rows import rows_of

pytestmark = pytest.mark.as_owner("nobody else may cut a table")
#: What rows_of leaves out, since the background makes it.
_DERIVED: Final = {"unindexed_scenes", "scene_words", "scene_vectors", "embedding_cache"}


@pytest.fixture
async def cut_url(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an empty database of this release whose largest tables are cut in three."""
    monkeypatch.delenv(VARIABLE, raising=False)
    await migrations.upgrade(empty_database_url)
    found = await partition(empty_database_url, metadata, 3, complete=keep_isolated, report=lambda _: None)
    assert found.refused == ()
    return empty_database_url


async def test_a_world_and_a_story_go_out_and_come_back(cut_url: str, tmp_path: Path) -> None:
    of_world, of_story = tmp_path / "world.jsonl", tmp_path / "story.jsonl"
    async with LivingWorld.open(Settings.load(database_url=cut_url, index_words=False)) as livingworld:
        there = await furnish(livingworld)
        await there.world.stories.archive(there.story.id)
        before = await rows_of(cut_url, there.world.id)
        world_bundle = await livingworld.worlds.export_bundle(there.world.id, of_world)
        await livingworld.worlds.purge(there.world.id)
        assert not any((await rows_of(cut_url, there.world.id)).values())
        world = await livingworld.worlds.import_bundle(of_world)
        after = await rows_of(cut_url, world.id)
        assert {table: after[table] for table in in_it(world_bundle)} == {t: before[t] for t in in_it(world_bundle)}

        story_bundle = await world.export_story(there.story.id, of_story)
        await world.stories.purge(there.story.id)
        await world.import_story(of_story)
        after = await rows_of(cut_url, world.id)
        assert {table: after[table] for table in in_it(story_bundle)} == {t: before[t] for t in in_it(story_bundle)}

    assert {"scenes", "turns", "facts", "memories", "generations", "request_keys"} <= story_bundle.counts.keys()


def in_it(bundle: Bundle) -> set[str]:
    """Return the tables of which a bundle has every row that is compared."""
    return bundle.counts.keys() - _DERIVED


async def test_a_person_is_erased_from_every_partition(cut_url: str) -> None:
    async with LivingWorld.open(Settings.load(database_url=cut_url)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        await leave_words(cut_url, world, story)
        assert {table for table, _ in await columns_with_the_word(cut_url)} >= {"turns", "facts", "memories", "scenes"}
        with suppress(Fenced):
            async with playing(world, story):
                await world.erase(player=WORD, scenes="blank")
        await world.search.index()

        assert await columns_with_the_word(cut_url) == set()
        assert await world.erase(player=WORD) == Erased()
    async with Doctor.open(database_url=cut_url) as doctor:
        assert await doctor.examine(world.id) == ()
