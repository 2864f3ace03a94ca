"""An append updates the rows of its story and branch in their pages, and touches no index of theirs."""

from __future__ import annotations

import asyncio
from typing import Final

from livingworld import LivingWorld, NewScene
from livingworld.testing.staged_races import connected
from tests.support.patience import until

_STORIES: Final = 100
_ROUNDS: Final = 10
_UPDATES: Final = """
    SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
    WHERE schemaname = 'livingworld' AND relname IN ('stories', 'branches', 'timelines')
"""


async def test_an_append_updates_rows_without_their_indexes(database_url: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        stories = [await world.stories.create(f"Story {number}") for number in range(_STORIES)]
        for _ in range(_ROUNDS):
            await asyncio.gather(*(world.stories.append_scene(story.id, NewScene("Low tide.")) for story in stories))

    async with connected(database_url) as connection:  # a session reports when it ends

        async def counted() -> bool:
            rows = await connection.fetch(_UPDATES)
            total: int = sum(row["n_tup_upd"] for row in rows)
            return total >= 2 * _STORIES * _ROUNDS

        await until(counted)
        found = {row["relname"]: (row["n_tup_upd"], row["n_tup_hot_upd"]) for row in await connection.fetch(_UPDATES)}

    assert found["timelines"] == (0, 0)
    for table in ("stories", "branches"):
        updates, hot = found[table]
        assert updates >= _STORIES * _ROUNDS  # what a rolled back try updated counts too
        assert hot >= 0.95 * updates, table
