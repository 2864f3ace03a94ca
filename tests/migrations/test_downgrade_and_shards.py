"""A downgrade counts tables, and not the parts that Citus makes of them, which nobody may lock."""

from __future__ import annotations

import pytest

from livingworld.postgres import migrations
from livingworld.testing.staged_races import connected


@pytest.mark.all_worlds("a distributed database, which alone has parts, cannot be isolated")
async def test_a_downgrade_neither_locks_nor_counts_a_part_of_a_table(database_url: str) -> None:
    async with connected(database_url) as owner:
        await owner.execute("CREATE TABLE livingworld.stories_102008 AS SELECT 1 AS story_id")

    found = await migrations.preview_downgrade(database_url, "0004")

    assert "102008" not in str(found.lost)
