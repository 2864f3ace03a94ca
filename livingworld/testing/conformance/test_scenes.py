"""Scenes and state: nothing lost, doubled, half-written or seen by another world."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from livingworld import NewScene
from livingworld.errors import StaleHead, StoryNotFound, VersionConflict
from livingworld.testing.conformance.conftest import Processes

pytestmark = pytest.mark.asyncio


async def test_scene_numbers_have_no_gap_and_no_double(processes: Processes) -> None:
    """Prove that row locks order the writers of a story across processes, and group commit answers each its own."""
    worlds = (processes.world, processes.elsewhere)
    texts = [f"scene {number}" for number in range(24)]
    writing = (
        worlds[place % 2].stories.append_scene(processes.story.id, NewScene(text)) for place, text in enumerate(texts)
    )
    scenes = await asyncio.gather(*writing)

    assert sorted(scene.number for scene in scenes) == list(range(1, 25))
    assert [scene.content for scene in scenes] == texts
    stored = (await processes.world.stories.scenes(processes.story.id)).items
    assert {(scene.number, scene.content) for scene in stored} == {(each.number, each.content) for each in scenes}


async def test_of_twelve_appends_to_one_head_one_is_stored(processes: Processes) -> None:
    """Prove that a comparison under a lock reads what was committed while it waited, from no older snapshot."""
    appending = (
        world.stories.append_scene(processes.story.id, NewScene(str(number)), expected_head=0)
        for number in range(6)
        for world in (processes.world, processes.elsewhere)
    )
    results = await asyncio.gather(*appending, return_exceptions=True)

    assert sum(isinstance(result, StaleHead) for result in results) == 11
    assert (await processes.world.stories.get(processes.story.id)).scene_count == 1


async def test_equal_requests_are_one_scene(processes: Processes) -> None:
    """Prove that a request that is repeated at once and in another process takes effect once, with one answer."""
    appending = (
        world.stories.append_scene(processes.story.id, NewScene("once"), request_key="click")
        for _ in range(5)
        for world in (processes.world, processes.elsewhere)
    )
    scenes = await asyncio.gather(*appending)

    assert {scene.number for scene in scenes} == {1}
    assert (await processes.world.stories.get(processes.story.id)).scene_count == 1


async def test_a_transaction_is_stored_wholly_or_not_at_all(processes: Processes) -> None:
    """Prove that the end of a transaction reaches every statement of it, also through a pooler."""
    with suppress(ZeroDivisionError):
        async with processes.world.transaction() as tx:
            await tx.stories.append_scene(processes.story.id, NewScene("half"))
            await tx.documents.increment("halves")
            raise ZeroDivisionError
    async with processes.world.transaction() as tx:
        await tx.stories.append_scene(processes.story.id, NewScene("whole"))
        await tx.documents.increment("wholes")

    scenes = (await processes.elsewhere.stories.scenes(processes.story.id)).items
    assert [scene.content for scene in scenes] == ["whole"]
    assert [document.key for document in (await processes.elsewhere.documents.list()).items] == ["wholes"]


async def test_no_increment_and_no_version_is_lost(processes: Processes) -> None:
    """Prove that an upsert counts every writer, and that of the writers of one version one wins."""
    worlds = (processes.world, processes.elsewhere)
    await asyncio.gather(*(world.documents.increment("count") for _ in range(15) for world in worlds))
    writing = (world.documents.compare_and_set("flag", 1, expected_version=0) for _ in range(5) for world in worlds)
    results = await asyncio.gather(*writing, return_exceptions=True)

    assert (await processes.world.documents.read("count")).value == 30
    assert sum(isinstance(result, VersionConflict) for result in results) == 9


async def test_a_cancelled_call_leaves_nothing_half_written(processes: Processes) -> None:
    """Prove that cancelling reaches the server and that the connection is usable or gone afterwards."""
    for _ in range(10):
        call = asyncio.ensure_future(processes.world.documents.update("weather", lambda _: {"rain": 1}, default={}))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
    found = await processes.world.documents.find("weather")

    assert found is None or found.value == {"rain": 1}
    assert (await processes.world.documents.increment("after")).value == 1


async def test_another_world_sees_nothing(processes: Processes) -> None:
    """Prove that every statement is bound to its world."""
    other = await processes.first.worlds.create("Another")
    try:
        with pytest.raises(StoryNotFound):
            await other.stories.get(processes.story.id)
        assert list((await other.stories.list()).items) == []
    finally:
        await processes.first.worlds.purge(other.id)
