"""Statements that read branches and the tree of a story."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import select

from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.branching import make_branch
from livingworld.story.stories.records import Branch, TreeScene
from livingworld.story.stories.tables import branches

_TREE: Final = """
    SELECT s.scene_number, s.parent_scene_number, s.position, s.chosen_choice, heads.numbers
    FROM livingworld.scenes s
    LEFT JOIN (
        SELECT b.head_scene_number, array_agg(b.branch_number ORDER BY b.branch_number) AS numbers
        FROM livingworld.branches b
        WHERE b.world_id = $1 AND b.story_id = $2 GROUP BY b.head_scene_number
    ) heads ON heads.head_scene_number = s.scene_number
    WHERE s.world_id = $1 AND s.story_id = $2
    ORDER BY s.scene_number
"""


async def read_branches(tx: Transaction, story_id: UUID, after: int, limit: int) -> list[Branch]:
    """Return branches in the order of their numbers."""
    own = (branches.c.world_id == tx.world_id, branches.c.story_id == story_id, branches.c.branch_number > after)
    rows = await tx.execute(select(branches).where(*own).order_by(branches.c.branch_number).limit(limit))
    return [make_branch(row) for row in rows]


async def read_tree(tx: Transaction, story_id: UUID) -> tuple[TreeScene, ...]:
    """Return every scene of a story with its place in the tree."""
    rows = await tx.execute_text(_TREE, (tx.world_id, story_id))
    return tuple(
        TreeScene(
            number=row.scene_number,
            parent_number=row.parent_scene_number,
            position=row.position,
            chosen_choice=row.chosen_choice,
            branches=tuple(row.numbers or ()),
        )
        for row in rows
    )
