"""What must be true of a story at any moment, asked of PostgreSQL and not of the library."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from livingworld import World
from livingworld.testing.staged_races import connected

#: Each statement finds what breaks one promise, and is empty when all is well.
_PROMISES: Final = {
    "scene numbers are 1..counter": """
        SELECT s.last_scene_number FROM livingworld.stories s
        WHERE s.world_id = $1 AND s.story_id = $2 AND
            ARRAY(SELECT c.scene_number FROM livingworld.scenes c
                WHERE (c.world_id, c.story_id) = (s.world_id, s.story_id) ORDER BY 1)
            <> ARRAY(SELECT generate_series(1, s.last_scene_number))
    """,
    "a head is the scene at its coordinate": """
        SELECT b.branch_number FROM livingworld.branches b
        LEFT JOIN livingworld.scenes c ON (c.world_id, c.story_id, c.timeline_number, c.position)
            = (b.world_id, b.story_id, b.head_timeline, b.head_position)
        WHERE b.world_id = $1 AND b.story_id = $2 AND c.scene_number IS DISTINCT FROM b.head_scene_number
    """,
    "a timeline is full from its fork to its tip": """
        SELECT t.timeline_number FROM livingworld.timelines t
        WHERE t.world_id = $1 AND t.story_id = $2 AND
            ARRAY(SELECT c.position FROM livingworld.scenes c WHERE (c.world_id, c.story_id, c.timeline_number)
                = (t.world_id, t.story_id, t.timeline_number) ORDER BY 1)
            <> ARRAY(SELECT generate_series(t.fork_position + 1, greatest(
                t.fork_position + (t.timeline_number > 1)::integer,
                (SELECT max(c.position) FROM livingworld.scenes c WHERE (c.world_id, c.story_id, c.timeline_number)
                    = (t.world_id, t.story_id, t.timeline_number))
            )))
    """,
    "a scene stands on a timeline of its story": """
        SELECT c.scene_number, c.timeline_number FROM livingworld.scenes c
        LEFT JOIN livingworld.timelines t USING (world_id, story_id, timeline_number)
        WHERE c.world_id = $1 AND c.story_id = $2 AND t.timeline_number IS NULL
    """,
    "a parent is the scene one position before": """
        SELECT c.scene_number, c.parent_scene_number FROM livingworld.scenes c
        LEFT JOIN livingworld.scenes p ON (p.world_id, p.story_id, p.scene_number)
            = (c.world_id, c.story_id, c.parent_scene_number)
        WHERE c.world_id = $1 AND c.story_id = $2 AND c.position <> coalesce(p.position, 0) + 1
    """,
    "lineage tiles 1..fork": """
        SELECT t.timeline_number FROM livingworld.timelines t
        WHERE t.world_id = $1 AND t.story_id = $2 AND
            ARRAY(SELECT generate_series(l.from_position, l.to_position) FROM livingworld.timeline_lineage l
                WHERE (l.world_id, l.story_id, l.timeline_number) = (t.world_id, t.story_id, t.timeline_number)
                ORDER BY 1)
            <> ARRAY(SELECT generate_series(1, t.fork_position))
    """,
    "a chosen choice is offered by the parent": """
        SELECT c.scene_number, c.chosen_choice FROM livingworld.scenes c
        JOIN livingworld.scenes p ON (p.world_id, p.story_id, p.scene_number)
            = (c.world_id, c.story_id, c.parent_scene_number)
        WHERE c.world_id = $1 AND c.story_id = $2 AND c.chosen_choice > cardinality(p.choices)
    """,
    "the list of what was last played has it once, where it stands": """
        SELECT s.status, s.archived_at, s.last_scene_at, s.created_at,
            (SELECT array_agg(a) FROM livingworld.story_activity a WHERE a.story_id = s.story_id) AS listed
        FROM livingworld.stories s
        WHERE s.world_id = $1 AND s.story_id = $2 AND
            ARRAY(SELECT (a.world_id, a.status, a.archived, a.last_scene_at)::text FROM livingworld.story_activity a
                WHERE a.story_id = s.story_id)
            <> ARRAY[(s.world_id, s.status, s.archived_at IS NOT NULL, coalesce(s.last_scene_at, s.created_at))::text]
    """,
    "timelines are counted": """
        SELECT s.last_timeline_number, max(t.timeline_number), count(*)
        FROM livingworld.stories s JOIN livingworld.timelines t USING (world_id, story_id)
        WHERE s.world_id = $1 AND s.story_id = $2 GROUP BY s.last_timeline_number
        HAVING (max(t.timeline_number), count(*)) <> (s.last_timeline_number, s.last_timeline_number)
    """,
}
#: The rows of the story, which every server and cluster can then compare in any way; the list has those of all worlds.
_OF_THE_STORY: Final = ", ".join(
    f"{table} AS MATERIALIZED (SELECT * FROM livingworld.{table} WHERE {'' if in_all_worlds else 'world_id = $1 AND '}"  # noqa: S608
    "story_id = $2)"
    for table, in_all_worlds in {
        **dict.fromkeys(("stories", "scenes", "branches", "timelines", "timeline_lineage"), False),
        "story_activity": True,
    }.items()
)
_PARENTS: Final = """
    SELECT scene_number, parent_scene_number FROM livingworld.scenes WHERE world_id = $1 AND story_id = $2
"""
_HEAD: Final = """
    SELECT head_scene_number FROM livingworld.branches WHERE world_id = $1 AND story_id = $2 AND branch_number = $3
"""


async def broken_promises(url: str, world_id: UUID, story_id: UUID) -> list[str]:
    """Return each promise that the stored story breaks, with the rows that show it."""
    broken = []
    async with connected(url) as connection:
        for promise, statement in _PROMISES.items():
            of_the_story = f"WITH {_OF_THE_STORY} {statement.replace('livingworld.', '')}"
            if rows := await connection.fetch(of_the_story, world_id, story_id):
                broken.append(f"{promise}: {[dict(row) for row in rows]}")
    return broken


async def walked_path(url: str, world_id: UUID, story_id: UUID, branch: int) -> list[int]:
    """Return the numbers of a branch's path by going from parent to parent, without timelines."""
    async with connected(url) as connection:
        rows = await connection.fetch(_PARENTS, world_id, story_id)
        number = await connection.fetchval(_HEAD, world_id, story_id, branch)
    parents = {row["scene_number"]: row["parent_scene_number"] for row in rows}
    path = []
    while number is not None:
        path.append(number)
        number = parents[number]
    return path[::-1]


async def read_path(world: World, story_id: UUID, branch: int, *, newest_first: bool = False) -> list[int]:
    """Return the numbers of a branch's path as the library reads it, by pages of three."""
    numbers: list[int] = []
    cursor: str | None = None
    while True:
        page = await world.stories.scenes(story_id, branch=branch, after=cursor, limit=3, newest_first=newest_first)
        numbers += [scene.number for scene in page.items]
        if (cursor := page.next) is None:
            return numbers
