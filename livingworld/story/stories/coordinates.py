"""Places in a story: where a write becomes true, and from where a read looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select

from livingworld.errors import BranchNotFound, InvalidInput, SceneNotFound, StoryNotFound
from livingworld.inputs import check_optional_integer, check_uuid
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.references import raise_unknown
from livingworld.story.stories.locking import branch_of, lock_open_story
from livingworld.story.stories.tables import FIRST_TIMELINE, in_story, stories


@dataclass(frozen=True, slots=True)
class Place:
    """A coordinate and the scene that stands there; scene 0 and position 0: before the first scene."""

    scene_number: int
    timeline: int
    position: int

    def written_at(self, world_id: UUID, story_id: UUID) -> tuple[Any, ...]:
        """Return the first arguments of the functions that write the state of a story here."""
        return (world_id, story_id, self.timeline, self.position, self.scene_number)

    def columns(self, prefix: str) -> dict[str, int | None]:
        """Return the columns of a branch that point here."""
        return {
            f"{prefix}_scene_number": self.scene_number or None,
            f"{prefix}_timeline": self.timeline,
            f"{prefix}_position": self.position,
        }


#: The place before the first scene of every story.
START: Final = Place(0, FIRST_TIMELINE, 0)


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """The place that a read looks from: the head of a branch, or a scene; raises InvalidInput."""

    story_id: UUID
    branch: int | None = None
    as_of: int | None = None

    def __post_init__(self) -> None:
        check_uuid("story_id", self.story_id)
        check_branch(self.branch)
        check_optional_integer("as_of", self.as_of)
        if self.branch is not None and self.as_of is not None:
            raise InvalidInput("as_of", "names a scene, and with it the path; leave `branch` out")

    def parameters(self, world_id: UUID) -> tuple[Any, ...]:
        """Return the arguments of story_place_v1."""
        return (world_id, self.story_id, self.branch, self.as_of)


#: FROM item that is the place of a viewpoint, whose parameters are $1 to $4.
PLACE: Final = "livingworld.story_place_v1($1::uuid, $2::uuid, $3::integer, $4::integer) AS place"
_WHAT_IS_THERE: Final = f"""
    SELECT EXISTS (SELECT FROM {PLACE}) AS is_place, named.unknown FROM livingworld.named_characters_v1($1, $5) AS named
"""  # noqa: S608 - no value in it


def check_branch(branch: object) -> int | None:
    """Return the number of a branch; None is the current one."""
    return check_optional_integer("branch", branch, minimum=1)


def check_head(expected_head: object) -> int | None:
    """Return the scene number that a caller expects at the head; None is any head."""
    return check_optional_integer("expected_head", expected_head)


def check_place(story_id: object, branch: object, expected_head: object) -> None:
    """Raise InvalidInput unless these arguments can name the place of a write."""
    check_uuid("story_id", story_id)
    check_branch(branch)
    check_head(expected_head)


async def lock_head(tx: Transaction, story_id: UUID, branch: int | None, expected_head: int | None) -> Place:
    """Lock a story and return where one of its branches (default: the current one) stands.

    Raises StoryNotFound, Archived, BranchNotFound, and StaleHead when the head is not `expected_head`.
    """
    story = await lock_open_story(tx, story_id)
    return head_of(await branch_of(tx, story, branch, expected_head))


def head_of(branch: Row[Any]) -> Place:
    """Return the place of a branch's head."""
    return Place(branch.head_scene_number or 0, branch.head_timeline, branch.head_position)


async def read_at(
    tx: Transaction, statement: str, view: Viewpoint, *arguments: object, characters: Sequence[str] = ()
) -> Sequence[Row[Any]]:
    """Return the rows of a statement whose first four parameters are a viewpoint.

    Raises StoryNotFound, BranchNotFound or SceneNotFound when there are none and the viewpoint does not exist,
    CharacterNotFound when a character of the references does not.
    """
    rows = (await tx.execute_text(statement, (*view.parameters(tx.world_id), *arguments))).all()
    if not rows:
        await _refuse_nothing_there(tx, view, characters)
    return rows


async def _refuse_nothing_there(tx: Transaction, view: Viewpoint, characters: Sequence[str]) -> None:
    asked = (*view.parameters(tx.world_id), list(characters))
    found = (await tx.execute_text(_WHAT_IS_THERE, asked)).one()
    if found.is_place:
        raise_unknown(found.unknown)
        return
    if await tx.scalar(select(stories.c.story_id).where(*in_story(stories, tx.world_id, view.story_id))) is None:
        raise StoryNotFound(story_id=view.story_id)
    if view.as_of:
        raise SceneNotFound(story_id=view.story_id, scene_number=view.as_of)
    raise BranchNotFound(story_id=view.story_id, branch_number=view.branch)
