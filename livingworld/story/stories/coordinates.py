"""Where in a story something becomes true: the place that a scene has, locked for a write or named for a read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from livingworld.errors import Archived, BranchNotFound, InvalidInput, SceneNotFound, StaleHead, StoryNotFound
from livingworld.inputs import check_integer, check_uuid
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.tables import branches, stories


@dataclass(frozen=True, slots=True)
class Place:
    """A coordinate and the scene that stands there; scene 0 and position 0: before the first scene."""

    timeline: int
    position: int
    scene_number: int


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """From where a story is looked at: the head of a branch, or a scene; raises InvalidInput."""

    story_id: UUID
    branch: int | None = None
    as_of: int | None = None

    def __post_init__(self) -> None:
        check_uuid("story_id", self.story_id)
        if self.branch is not None:
            check_integer("branch", self.branch, minimum=1)
            if self.as_of is not None:
                raise InvalidInput("as_of", "names a scene, and with it the path; leave `branch` out")
        if self.as_of is not None:
            check_integer("as_of", self.as_of)

    def parameters(self, world_id: UUID) -> tuple[Any, ...]:
        """Return the arguments of story_place_v1."""
        return (world_id, self.story_id, self.branch, self.as_of)


#: FROM item that is the place of a viewpoint, whose parameters are $1 to $4.
PLACE: Final = "livingworld.story_place_v1($1::uuid, $2::uuid, $3::integer, $4::integer) AS place"


def check_place(story_id: object, branch: int | None, expected_head: int | None) -> None:
    """Raise InvalidInput unless these can name where to write."""
    check_uuid("story_id", story_id)
    if branch is not None:
        check_integer("branch", branch, minimum=1)
    if expected_head is not None:
        check_integer("expected_head", expected_head)


async def lock_head(
    tx: Transaction, world_id: UUID, story_id: UUID, branch: int | None, expected_head: int | None
) -> Place:
    """Lock a story and return where one of its branches (default: the current one) stands.

    Raises StoryNotFound, Archived, BranchNotFound, and StaleHead when the head is not `expected_head`.
    """
    story_key = {"world_id": world_id, "story_id": story_id}
    story = await lock_row(tx, LockKind.STORY, stories, story_key)
    if story is None:
        raise StoryNotFound(story_id=story_id)
    if story.archived_at is not None:
        raise Archived(story_id=story_id)
    number = story.current_branch if branch is None else branch
    key = {**story_key, "branch_number": number}
    statement = select(branches).where(*(branches.c[name] == value for name, value in key.items()))
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        raise BranchNotFound(story_id=story_id, branch_number=number)
    head = row.head_scene_number or 0
    if expected_head is not None and expected_head != head:
        raise StaleHead(expected=expected_head, actual=head)
    return Place(row.head_timeline, row.head_position, head)


async def refuse_no_place(tx: Transaction, world_id: UUID, view: Viewpoint) -> None:
    """Raise StoryNotFound, BranchNotFound or SceneNotFound when a viewpoint that showed nothing does not exist."""
    found = (await tx.execute_text(f"SELECT 1 FROM {PLACE}", view.parameters(world_id))).first()  # noqa: S608
    if found is not None:
        return
    own = (stories.c.world_id == world_id, stories.c.story_id == view.story_id)
    if await tx.scalar(select(stories.c.story_id).where(*own)) is None:
        raise StoryNotFound(story_id=view.story_id)
    if view.as_of:
        raise SceneNotFound(story_id=view.story_id, scene_number=view.as_of)
    raise BranchNotFound(story_id=view.story_id, branch_number=view.branch)
