"""What an export, an import and a verification keep in memory does not grow with the world."""

from __future__ import annotations

import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from livingworld import verify_bundle
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import connected
from tests.integration.bundles.full_world import opened
from tests.support.rotation import WHOLE

#: Rows of 40,000 characters: what fills two batches, and what fills eight.
SMALL: Final = 100
LARGE: Final = 400
VERSIONS: Final = """
    INSERT INTO livingworld.document_versions (world_id, key, version, value)
    SELECT $1, 'flags', n, to_jsonb(repeat(md5(n::text), 1250)) FROM generate_series(2, $2::integer) AS n
"""


#: Scenes of a story that fills two batches; the one that fills eight has 20,000 with every part.
SHORT: Final = 5_000 if WHOLE else 200
SCENES: Final = """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content, choices)
    SELECT $1, $2, n, nullif(n - 1, 0), 1, n, repeat(md5(n::text), $4::integer), '{on}'
    FROM generate_series(1, $3::integer) AS n
"""


@pytest.mark.any_server
async def test_memory_is_bounded(database_url: str, tmp_path: Path) -> None:
    peaks = [await peaks_of(database_url, rows, tmp_path / f"{rows}.jsonl") for rows in (SMALL, LARGE)]

    for small, large in zip(*peaks, strict=True):
        assert large < 1.2 * small


@pytest.mark.any_server
@pytest.mark.slow
async def test_memory_of_a_story_is_bounded_and_all_its_scenes_come_back(database_url: str, tmp_path: Path) -> None:
    lengths = (SHORT, 4 * SHORT)
    peaks = [await peaks_of_a_story(database_url, scenes, tmp_path / f"{scenes}.jsonl") for scenes in lengths]

    for small, large in zip(*peaks, strict=True):
        assert large < 1.2 * small


async def peaks_of(url: str, rows: int, path: Path) -> list[int]:
    async with opened(url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        await world.documents.set("flags", 1)
        await add_versions(url, world.id, rows)

        async def verify() -> None:
            verify_bundle(path)

        return [
            await peak_of(lambda: livingworld.worlds.export_bundle(world.id, path)),
            await peak_of(lambda: livingworld.worlds.import_bundle(path, as_world=new_id())),
            await peak_of(verify),
        ]


async def peaks_of_a_story(url: str, scenes: int, path: Path) -> list[int]:
    async with opened(url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story_id = (await world.stories.create("The Causeway")).id
        async with connected(url) as connection:
            await connection.execute(SCENES, world.id, story_id, scenes, 125_000 // SHORT)
        await world.stories.archive(story_id)

        async def verify() -> None:
            assert verify_bundle(path).counts["scenes"] == scenes

        peaks = [await peak_of(lambda: world.export_story(story_id, path)), await peak_of(verify)]
        await world.stories.purge(story_id)
        peaks.append(await peak_of(lambda: world.import_story(path)))
        again = await world.export_story(story_id, path)
        assert (again.counts["scenes"], again.story_id) == (scenes, story_id)
        return peaks


async def add_versions(url: str, world_id: UUID, rows: int) -> None:
    async with connected(url) as connection:
        await connection.execute(VERSIONS, world_id, rows)


async def peak_of(work: Callable[[], Awaitable[object]]) -> int:
    tracemalloc.start()
    try:
        await work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
