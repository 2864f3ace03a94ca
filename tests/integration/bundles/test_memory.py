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

#: Rows of 40,000 characters: what fills two batches, and what fills eight.
SMALL: Final = 100
LARGE: Final = 400
VERSIONS: Final = """
    INSERT INTO livingworld.document_versions (world_id, key, version, value)
    SELECT $1, 'flags', n, to_jsonb(repeat(md5(n::text), 1250)) FROM generate_series(2, $2::integer) AS n
"""


@pytest.mark.any_server
async def test_memory_is_bounded(database_url: str, tmp_path: Path) -> None:
    peaks = [await peaks_of(database_url, rows, tmp_path / f"{rows}.jsonl") for rows in (SMALL, LARGE)]

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
