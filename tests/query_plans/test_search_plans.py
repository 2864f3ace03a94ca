"""A search of a word that is everywhere looks at a bounded number of texts."""

from __future__ import annotations

import pytest

from livingworld import LivingWorld
from livingworld.story.search.repository import MAX_LOOKED_AT
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import planned, rows_read

#: Of fewer the planner may read all that the world has: it knows neither the query nor, unanalysed, the world.
TEXTS = 100_000
QUICKLY = "SET session_replication_role = replica"
#: What is new in an index of words is merged in the background; until then the planner takes the index for dear.
MERGE = (
    "SELECT gin_clean_pending_list('livingworld.ix_' || name || '_words') FROM unnest(ARRAY['scenes', 'memories']) name"
)
FILL = (
    """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content)
    SELECT $1, $2, n, nullif(n - 1, 0), 1, n, 'The tide came in, ' || n FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.memories
        (world_id, memory_id, story_id, timeline_number, position, scene_number, kind, content, digest, private,
         importance, valence)
    SELECT $1, gen_random_uuid(), $2, 1, n, n, 'event', 'A memory of ' || n, sha256(n::text::bytea), false, 0.5, 0
    FROM generate_series(1, $3::integer) n
    """,
)


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_a_common_word_costs_what_a_bounded_number_of_texts_cost(database_url: str, statistics_of: str) -> None:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        world = await livingworld.worlds.create("large")
        story = await world.stories.create("long")
    async with connected(database_url) as connection:
        await connection.execute(QUICKLY)
        for statement in FILL:
            await connection.execute(statement, world.id, story.id, TEXTS)
        await connection.execute(MERGE)
    if statistics_of == "everything":
        await analyze(database_url)

    async with planned(database_url, world.id) as (opened, logged):
        for words, found in (("tide", 20), ('"tide came"', 20), ('"came tide"', 0), ("memory", 20), ("memory 77", 1)):
            for _ in range(7):  # the first runs have plans of their own, the later ones the plan that is kept
                logged.plans.clear()
                page = await opened.search.find(words)
                looked_at = [
                    (words, node["Node Type"], node.get("Filter"), rows_read(node))
                    for node in logged.nodes()
                    if node["Node Type"] != "Bitmap Index Scan" and rows_read(node) > 2 * MAX_LOOKED_AT + 2
                ]

                assert (len(page.items), page.is_cut) == (found, words != "memory 77")
                assert looked_at == []
