"""Edits of one lore entry at the same time: the versions decide."""

from __future__ import annotations

from livingworld import NewLoreEntry, World
from tests.support.staging import kinds, race


async def test_of_writers_of_one_version_one_wins(database_url: str, world: World) -> None:
    entry = await world.lore.add(NewLoreEntry("old"))
    the_entry = "SELECT FROM livingworld.lore_entries WHERE world_id = $1 AND lore_id = $2 FOR UPDATE"
    edits = [world.lore.update(entry.id, expected_version=1, content=f"{number}") for number in range(6)]
    results = await race(database_url, the_entry, [world.id, entry.id], edits, blocked=6)

    assert kinds(results) == ["LoreEntry"] + ["VersionConflict"] * 5
    assert len(await world.lore.revisions(entry.id)) == 1
