"""A search of a word that is everywhere looks at a bounded number of texts, and so does what indexes them."""

from __future__ import annotations

import pytest

from livingworld import LivingWorld, Settings, World
from livingworld.story.search.repository import MAX_LOOKED_AT
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import LoggedPlans, planned, rows_read

#: Of fewer the planner may read all that the world has: it knows neither the query nor, unanalysed, the world.
TEXTS = 100_000
QUICKLY = "SET session_replication_role = replica"
#: What is new in an index of words is merged in the background; until then the planner takes the index for dear.
MERGE = """
    SELECT gin_clean_pending_list('livingworld.ix_' || name || '_words')
    FROM unnest(ARRAY['scene_words', 'memories']) AS name
"""
FILL = (
    """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content)
    SELECT $1, $2, n, nullif(n - 1, 0), 1, n, 'The tide came in, ' || n FROM generate_series(1, $3::integer) n
    """,
    """
    INSERT INTO livingworld.scene_words (world_id, story_id, scene_number, version, words)
    SELECT s.world_id, s.story_id, s.scene_number, s.version, to_tsvector('simple', s.content) FROM livingworld.scenes s
    WHERE s.world_id = $1 AND s.story_id = $2 AND s.scene_number <= $3
    """,
    """
    INSERT INTO livingworld.memories
        (world_id, memory_id, story_id, timeline_number, position, scene_number, kind, content, digest, private,
         importance, valence)
    SELECT $1, gen_random_uuid(), $2, 1, n, n, 'event', 'A memory of ' || n, sha256(n::text::bytea), false, 0.5, 0
    FROM generate_series(1, $3::integer) n
    """,
)


QUEUE = """
    INSERT INTO livingworld.unindexed_scenes (world_id, story_id, scene_number, version)
    SELECT s.world_id, s.story_id, s.scene_number, s.version FROM livingworld.scenes s
    WHERE s.world_id = $1 AND s.scene_number > $2::integer
"""
WORDS = (("tide", 20), ('"tide came"', 20), ('"came tide"', 0), ("memory", 20), ("memory 77", 1))


async def fill(url: str, world: World, *, unindexed: int = 0) -> None:
    """Give a world a story of many scenes, the last of which are not indexed, and as many memories."""
    story = await world.stories.create("long")
    async with connected(url) as connection:
        await connection.execute(QUICKLY)
        for statement in FILL:
            await connection.execute(statement, world.id, story.id, TEXTS)
        await connection.execute(QUEUE, world.id, TEXTS - unindexed)
        await connection.execute(MERGE)


def scanned(logged: LoggedPlans) -> list[tuple[object, ...]]:
    """Return the nodes that looked at more rows than a search ranks and reads."""
    return [
        (node["Node Type"], node.get("Filter"), rows_read(node))
        for node in logged.nodes()
        if node["Node Type"] != "Bitmap Index Scan" and rows_read(node) > 2 * MAX_LOOKED_AT + 2
    ]


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
@pytest.mark.all_worlds("no index of words is gone down where a transaction is shown one world")
async def test_a_common_word_costs_what_a_bounded_number_of_texts_cost(database_url: str, statistics_of: str) -> None:
    async with LivingWorld.open(Settings.load(database_url=database_url, index_words=False)) as livingworld:
        world = await livingworld.worlds.create("large")
        await fill(database_url, world)
    if statistics_of == "everything":
        await analyze(database_url)

    async with planned(database_url, world.id) as (opened, logged):
        for words, found in WORDS:
            for _ in range(7):  # the first runs have plans of their own, the later ones the plan that is kept
                logged.plans.clear()
                page = await opened.search.find(words)

                assert (len(page.items), page.is_cut, page.unindexed) == (found, words != "memory 77", 0)
                assert (words, scanned(logged)) == (words, [])


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
@pytest.mark.all_worlds("no index of words is gone down where a transaction is shown one world")
async def test_scenes_that_wait_for_their_words_cost_a_search_and_a_batch_a_bounded_number_of_them(
    database_url: str, statistics_of: str
) -> None:
    async with LivingWorld.open(Settings.load(database_url=database_url, index_words=False)) as livingworld:
        world = await livingworld.worlds.create("large")
        await fill(database_url, world, unindexed=TEXTS // 2)
        story = (await world.stories.list()).items[0]
    if statistics_of == "everything":
        await analyze(database_url)

    async with planned(database_url, world.id) as (opened, logged):
        for of in (None, story.id):
            for _ in range(7):
                logged.plans.clear()
                page = await opened.search.find("tide", story_id=of)

                assert (len(page.items), page.is_cut, page.unindexed) == (20, True, MAX_LOOKED_AT)
                assert (of, scanned(logged)) == (of, [])
        for _ in range(7):
            logged.plans.clear()
            assert await opened.search.index(100) == 100
            assert scanned(logged) == []
