"""Moving branches: each function locks the story, looks at the branch under that lock, and writes one branch row.

Only pointers move. `version` rises with every move of a head, also by appends. A redo is valid for the version at which
it was stored, so any other move of the head ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update

from livingworld.errors import (
    BranchChanged,
    BranchInUse,
    BranchNameTaken,
    BranchNotFound,
    NothingToRedo,
    NothingToUndo,
    SceneNotOnPath,
)
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.idempotency import CreateRequest, create_once
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.branches.paths import is_on_path, place_of_scene, place_on_path
from livingworld.story.stories.coordinates import Place, head_of
from livingworld.story.stories.locking import (
    PLAYED_NOW,
    WRITTEN_NOW,
    branch_of,
    lock_open_story,
    moved_in_list,
    touched,
)
from livingworld.story.stories.records import Branch
from livingworld.story.stories.rows import make_branch
from livingworld.story.stories.tables import branches, in_story, stories

_NO_REDO = {"redo_scene_number": None, "redo_timeline": None, "redo_position": None, "redo_version": None}


@dataclass(frozen=True, slots=True)
class Fork:
    """A branch to add, at a scene or at the head of another branch."""

    story_id: UUID
    name: str
    at: int | None
    branch: int | None
    expected_head: int | None

    def request(self, request_key: str | None) -> CreateRequest | None:
        """Return the request that takes effect once; the expected head is none of its arguments."""
        arguments = [str(self.story_id), self.name, self.at, self.branch]
        return CreateRequest.of(request_key, LockKind.STORY, "branches.fork", arguments)


async def fork(tx: Transaction, given: Fork, request: CreateRequest | None) -> Branch:
    """Add a branch, once."""
    read = partial(_read_branch, tx, given.story_id)
    return await create_once(tx, request, partial(_fork, tx, given), read, lambda branch: branch.number)


async def _read_branch(tx: Transaction, story_id: UUID, number: int) -> Branch:
    own = (*in_story(branches, tx.world_id, story_id), branches.c.branch_number == number)
    row = (await tx.execute(select(branches).where(*own))).one_or_none()
    if row is None:
        raise BranchNotFound(story_id=story_id, branch_number=number)
    return make_branch(row)


async def _fork(tx: Transaction, given: Fork) -> Branch:
    story_id, name = given.story_id, given.name
    story = await lock_open_story(tx, story_id)
    source = await branch_of(tx, story, given.branch, given.expected_head)
    place = head_of(source) if given.at is None else await place_of_scene(tx, story_id, given.at)
    await _refuse_taken(tx, story_id, name)
    key = {"world_id": tx.world_id, "story_id": story_id, "branch_number": story.last_branch_number + 1}
    await _update_story(tx, story_id, last_branch_number=key["branch_number"])
    new = insert(branches).values(**key, name=name, **place.columns("head")).returning(branches)
    row = (await tx.execute(new)).one()
    _log(tx, events.BRANCH_FORKED, row)
    _publish(tx, LiveKind.BRANCH_FORKED, row, scene_number=row.head_scene_number or 0)
    return make_branch(row)


async def rewind(tx: Transaction, story_id: UUID, to: int, number: int | None, expected_head: int | None) -> Branch:
    """Move the head back to a scene of its path, 0 for the place before the first."""
    old = await _lock_branch(tx, story_id, number, expected_head)
    place = await place_of_scene(tx, story_id, to)
    if not await is_on_path(tx, story_id, place, head_of(old)):
        raise SceneNotOnPath(story_id=story_id, scene_number=to, branch_number=old.branch_number)
    return await _move_back(tx, old, place)


async def undo(tx: Transaction, story_id: UUID, turns: int, number: int | None, expected_head: int | None) -> Branch:
    """Move the head back by a number of scenes."""
    old = await _lock_branch(tx, story_id, number, expected_head)
    if turns > old.head_position:
        raise NothingToUndo(turns=turns, length=old.head_position)
    return await _move_back(tx, old, await place_on_path(tx, story_id, head_of(old), old.head_position - turns))


async def redo(tx: Transaction, story_id: UUID, turns: int, number: int | None, expected_head: int | None) -> Branch:
    """Move the head forward by a number of scenes, on the path that undo and rewind left."""
    old = await _lock_branch(tx, story_id, number, expected_head)
    if old.redo_version != old.version or old.redo_position < old.head_position + turns:
        raise NothingToRedo(turns=turns, story_id=story_id)
    far = _redo_of(old)
    place = await place_on_path(tx, story_id, far, old.head_position + turns)
    return await _move(tx, old, place, None if place == far else far)


async def switch(tx: Transaction, story_id: UUID, number: int, expected_branch: int | None) -> Branch:
    """Make a branch the one that is played when none is named."""
    story = await lock_open_story(tx, story_id)
    if expected_branch is not None and expected_branch != story.current_branch:
        raise BranchChanged(expected=expected_branch, actual=story.current_branch)
    row = await branch_of(tx, story, number)
    if number != story.current_branch:
        await _update_story(tx, story_id, current_branch=number)
        _publish(tx, LiveKind.BRANCH_SWITCHED, row)
    return make_branch(row)


async def rename(tx: Transaction, story_id: UUID, number: int, name: str) -> Branch:
    """Give a branch another name; its version stays, since its head does."""
    row = await _lock_branch(tx, story_id, number)
    if row.name != name:
        await _refuse_taken(tx, story_id, name)
        _publish(tx, LiveKind.BRANCH_RENAMED, row)
    return make_branch(await _update(tx, row, name=name))


async def delete_branch(tx: Transaction, story_id: UUID, number: int, expected_head: int | None) -> None:
    """Remove a branch; its scenes stay."""
    story = await lock_open_story(tx, story_id)
    row = await branch_of(tx, story, number, expected_head)
    if number == story.current_branch:
        raise BranchInUse(story_id=story_id, branch_number=number)
    gone = delete(branches).where(*in_story(branches, tx.world_id, story_id), branches.c.branch_number == number)
    await tx.execute(gone.add_cte(touched(tx.world_id, story_id)))
    _log(tx, events.BRANCH_DELETED, row)
    _publish(tx, LiveKind.BRANCH_DELETED, row)


async def _lock_branch(
    tx: Transaction, story_id: UUID, number: int | None, expected_head: int | None = None
) -> Row[Any]:
    return await branch_of(tx, await lock_open_story(tx, story_id), number, expected_head)


async def _move_back(tx: Transaction, old: Row[Any], place: Place) -> Branch:
    """Move the head back and store the farthest place that was left."""
    if place.position == old.head_position:
        return make_branch(old)
    return await _move(tx, old, place, _redo_of(old) if old.redo_version == old.version else head_of(old))


async def _move(tx: Transaction, old: Row[Any], place: Place, redo_place: Place | None) -> Branch:
    version = old.version + 1
    left = _NO_REDO if redo_place is None else {**redo_place.columns("redo"), "redo_version": version}
    row = await _update(tx, old, version=version, **place.columns("head"), **left)
    _log(tx, events.HEAD_MOVED, row)
    _publish(tx, LiveKind.HEAD_MOVED, row, scene_number=row.head_scene_number or 0)
    return make_branch(row)


def _redo_of(branch: Row[Any]) -> Place:
    return Place(branch.redo_scene_number, branch.redo_timeline, branch.redo_position)


async def _update(tx: Transaction, row: Row[Any], **values: Any) -> Row[Any]:  # noqa: ANN401 - column values
    own = (*in_story(branches, tx.world_id, row.story_id), branches.c.branch_number == row.branch_number)
    changed = update(branches).where(*own).values(**values, updated_at=func.now()).returning(branches)
    return (await tx.execute(changed.add_cte(touched(tx.world_id, row.story_id)))).one()


async def _update_story(tx: Transaction, story_id: UUID, **values: int) -> None:
    own = in_story(stories, tx.world_id, story_id)
    changed = update(stories).where(*own).values(**values, **PLAYED_NOW)
    await tx.execute(changed.add_cte(moved_in_list(tx.world_id, story_id, last_scene_at=WRITTEN_NOW)))


async def _refuse_taken(tx: Transaction, story_id: UUID, name: str) -> None:
    """Raise BranchNameTaken; uq_branches_name decides, this keeps the transaction alive."""
    own = (*in_story(branches, tx.world_id, story_id), branches.c.name == name)
    if await tx.scalar(select(branches.c.branch_number).where(*own)) is not None:
        raise BranchNameTaken(story_id=story_id)


def _log(tx: Transaction, event: events.Event, row: Row[Any]) -> None:
    place = {"story_id": row.story_id, "branch_number": row.branch_number, "scene_number": row.head_scene_number or 0}
    tx.log_after_commit(event, world_id=tx.world_id, **place)


def _publish(tx: Transaction, kind: LiveKind, row: Row[Any], **details: int) -> None:
    publish_at_commit(tx, row.story_id, kind, branch_number=row.branch_number, **details)
