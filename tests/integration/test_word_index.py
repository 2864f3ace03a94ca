"""The words of scenes are indexed after the commit: a search finds the same before, meanwhile and after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.app.process import Process
from livingworld.errors import InvalidNumber, InvalidType, Unavailable
from livingworld.observability.events import WORDS_INDEXED
from livingworld.postgres.transactions.world_database import WorldDatabase
from livingworld.story.search import indexing, repository, word_indexer
from tests.support.patience import patiently, until
from tests.support.turn_checks import rows

WORDS = "SELECT scene_number, version, words @@ 'lamp'::tsquery AS lamp FROM livingworld.scene_words ORDER BY 1"
QUEUE = "SELECT scene_number, version FROM livingworld.unindexed_scenes ORDER BY 1, 2"


@pytest_asyncio.fixture
async def still(database_url: str) -> AsyncIterator[World]:
    """Give a world in a process that indexes nothing by itself."""
    async with LivingWorld.open(Settings.load(database_url=database_url, index_words=False)) as livingworld:
        yield await livingworld.worlds.create("Saltmarsh")


async def tell(world: World, *texts: str) -> Story:
    story = await world.stories.create("The Causeway")
    for text in texts:
        await world.stories.append_scene(story.id, NewScene(text))
    return story


async def found(world: World, words: str) -> list[int | None]:
    return [hit.scene_number for hit in (await world.search.find(words, kinds=["scene"])).items]


async def test_a_search_finds_the_same_before_while_and_after_scenes_are_indexed(still: World) -> None:
    story = await tell(still, "The lamp.", "A lamp, the lamp, no other lamp.", "The tide.", "A cold lamp at low tide.")
    pages = [await still.search.find("lamp -cold OR tide", kinds=["scene"])]
    for _ in range(4):
        assert await still.search.index(limit=1) == 1
        pages.append(await still.search.find("lamp -cold OR tide", kinds=["scene"]))

    assert await still.search.index() == 0
    assert [page.unindexed for page in pages] == [4, 3, 2, 1, 0]
    assert {page.items for page in pages} == {pages[0].items}
    assert len(pages[0].items) == 4
    one = await still.search.find("lamp", story_id=story.id, limit=1)
    assert (await still.search.find("lamp", story_id=story.id, after=one.next)).items[0].scene_number == 1


async def test_an_edited_scene_is_found_by_its_new_words_only(still: World, database_url: str) -> None:
    story = await tell(still, "The lamp.")
    for text, version in (("The tide.", 1), ("The boat.", 2)):  # the first before, the second after it is indexed
        await still.stories.edit_scene(story.id, 1, expected_version=version, content=text)
        for _ in range(2):
            assert await found(still, "lamp OR tide OR boat") == await found(still, text) == [1]
            assert await found(still, "lamp") == []
            await still.search.index()
        assert [tuple(row) for row in await rows(database_url, WORDS)] == [(1, version + 1, False)]

    await still.stories.edit_scene(story.id, 1, expected_version=3, location="The pier")
    assert (await still.search.backlog()).texts == 0, "its text is what it was"


async def test_a_chosen_generation_is_found_by_its_words_only(still: World) -> None:
    story = await still.stories.create("The Causeway")
    async with still.turns.take(story.id, request_key="first") as turn:
        await turn.commit(NewScene("The lamp."))
    await still.search.index()
    async with still.turns.regenerate(story.id, request_key="again") as turn:
        await turn.commit(NewScene("The tide."))
    shown = await found(still, "tide")

    assert len(shown) == 1
    assert (await found(still, "lamp"), await found(still, "lamp OR tide")) == ([], shown)
    await still.search.index()
    assert (await found(still, "lamp"), await found(still, "lamp OR tide")) == ([], shown)


async def test_the_backlog_is_known(still: World) -> None:
    nothing = await still.search.backlog()
    story = await tell(still, "The lamp.", "The tide.")
    await still.stories.edit_scene(story.id, 1, expected_version=1, content="No lamp.")
    something = await still.search.backlog()
    await still.search.index()

    assert (nothing.texts, nothing.since) == (0, None)
    assert (something.texts, something.since) == (3, (await still.stories.scene(story.id, 1)).created_at)
    assert await still.search.backlog() == nothing


async def test_a_search_reads_a_bounded_number_of_scenes_that_are_not_indexed_the_newest_first(
    monkeypatch: pytest.MonkeyPatch, still: World
) -> None:
    monkeypatch.setattr(repository, "MAX_LOOKED_AT", 3)
    first = await tell(still, "The lamp, one.", "The lamp, two.")
    await tell(still, "The tide, one.", "The tide, two.")
    page = await still.search.find("lamp")
    of_its_story = await still.search.find("lamp", story_id=first.id)

    assert ([hit.scene_number for hit in page.items], page.is_cut, page.unindexed) == ([2], True, 3)
    assert (len(of_its_story.items), of_its_story.is_cut, of_its_story.unindexed) == (2, False, 2)
    assert (await still.search.find("-lamp")).unindexed == 0, "nothing is read for a query that finds nothing"
    await still.search.index()
    assert not (await still.search.find("lamp")).is_cut


async def test_a_process_indexes_what_it_writes_and_then_has_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, world: World
) -> None:
    monkeypatch.setattr(word_indexer, "DELAY", timedelta(0))
    monkeypatch.setattr(word_indexer, "BATCH", 2)
    caplog.set_level(logging.DEBUG, logger="livingworld")
    await tell(world, "The lamp.", "The tide.", "A boat.")

    async with patiently():
        await until(lambda: nothing_left(world))
        await until(lambda: indexer_of(world)._task is None)
    assert await found(world, "lamp") == [1]
    assert any(WORDS_INDEXED.name in record.getMessage() for record in caplog.records)


async def test_a_search_that_meets_scenes_of_another_process_has_them_indexed(
    monkeypatch: pytest.MonkeyPatch, still: World, world: World, livingworld: LivingWorld
) -> None:
    monkeypatch.setattr(word_indexer, "DELAY", timedelta(0))
    await tell(still, "The lamp.")
    there = await livingworld.worlds.get(still.id)

    assert (await there.search.find("lamp")).unindexed == 1
    await until(lambda: nothing_left(there))


async def test_what_could_not_be_indexed_is_tried_again(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    failures = [Unavailable(), Unavailable()]
    indexed = asyncio.Event()
    index = indexing.index_scenes

    async def index_scenes(*arguments: object) -> int:
        if failures:
            raise failures.pop()
        count = await index(*arguments)  # type: ignore[arg-type]
        indexed.set()
        return count

    monkeypatch.setattr(word_indexer, "DELAY", timedelta(0))
    monkeypatch.setattr(word_indexer, "AGAIN", timedelta(0))
    monkeypatch.setattr(word_indexer, "index_scenes", index_scenes)
    await tell(world, "The lamp.")
    async with patiently():
        await indexed.wait()

    assert await nothing_left(world)


async def test_a_closing_process_starts_no_indexing(database_url: str) -> None:
    process = Process(settings := Settings.load(database_url=database_url), settings.url())  # type: ignore[arg-type]
    await process.close()
    process._word_indexer.wake(process.id)

    assert process._word_indexer._task is None


async def test_bad_limits_are_named(still: World) -> None:
    for limit in (0, 10_001):
        with pytest.raises(InvalidNumber):
            await still.search.index(limit)
    with pytest.raises(InvalidType):
        await still.search.index("all")  # type: ignore[arg-type]


async def nothing_left(world: World) -> bool:
    return (await world.search.backlog()).texts == 0


def indexer_of(world: World) -> word_indexer.WordIndexer:
    unit = world._unit
    assert isinstance(unit, WorldDatabase)
    indexer = unit._database.work_left.__self__  # type: ignore[attr-defined]
    assert isinstance(indexer, word_indexer.WordIndexer)
    return indexer
