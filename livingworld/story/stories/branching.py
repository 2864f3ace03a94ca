"""Moving branches: every function locks the story, looks at the branch under that lock, and writes one branch row.

Only pointers move. `version` rises with every move of a head, also by appends; redo is good for the version it was left
at, so whatever else moves the head ends it.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, insert, select, update

from livingworld.errors import (
    BranchChanged,
    BranchInUse,
    BranchNameTaken,
    NothingToRedo,
    NothingToUndo,
    SceneNotFound,
    SceneNotOnPath,
)
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.coordinates import START, Place, head_of
from livingworld.story.stories.locking import WRITTEN_NOW, branch_of, lock_open_story, touched
from livingworld.story.stories.records import Branch
from livingworld.story.stories.scene_tables import scenes
from livingworld.story.stories.tables import branches, stories

#: The timeline that has position $5 of the path that $1 to $4 name.
_OWNER: Final = """
    SELECT range.timeline_number FROM livingworld.path_ranges_v1($1, $2, $3, $4) AS range
    WHERE $5 BETWEEN range.from_position AND range.to_position
"""
_NO_REDO = {"redo_scene_number": None, "redo_timeline": None, "redo_position": None, "redo_version": None}


class BranchMoves:
    """The branches of one story inside one transaction; made by `open_branches`, which locks the story."""

    def __init__(self, tx: Transaction, story: Row[Any]) -> None:
        self._tx = tx
        self._story = story
        self._ids = {"world_id": story.world_id, "story_id": story.story_id}

    async def fork(self, name: str, at: int | None, number: int | None, expected_head: int | None) -> Branch:
        """Add a branch at a scene, or at the head of another branch."""
        source = await self._branch(number, expected_head)
        place = head_of(source) if at is None else await self._place_of_scene(at)
        await self._refuse_taken(name)
        counted = self._story.last_branch_number + 1
        counter = {"last_branch_number": counted, "updated_at": WRITTEN_NOW}
        await self._tx.execute(update(stories).where(*self._in(stories)).values(**counter))
        values = {**self._ids, "branch_number": counted, "name": name, **place.columns("head")}
        row = (await self._tx.execute(insert(branches).values(**values).returning(branches))).one()
        self._tell(events.BRANCH_FORKED, row)
        self._publish(LiveKind.BRANCH_FORKED, row, scene_number=row.head_scene_number or 0)
        return make_branch(row)

    async def rewind(self, to: int, number: int | None, expected_head: int | None) -> Branch:
        """Move the head back to a scene of its path, 0 for the place before the first."""
        old = await self._branch(number, expected_head)
        place = await self._place_of_scene(to)
        if not await self._on_path(place, old):
            raise SceneNotOnPath(story_id=self._story.story_id, scene_number=to, branch_number=old.branch_number)
        return await self._go_back(old, place)

    async def undo(self, turns: int, number: int | None, expected_head: int | None) -> Branch:
        """Move the head back by a number of scenes."""
        old = await self._branch(number, expected_head)
        if turns > old.head_position:
            raise NothingToUndo(turns=turns, length=old.head_position)
        return await self._go_back(old, await self._place_on_path(head_of(old), old.head_position - turns))

    async def redo(self, turns: int, number: int | None, expected_head: int | None) -> Branch:
        """Move the head forward by a number of scenes, on the path that undo and rewind left."""
        old = await self._branch(number, expected_head)
        if old.redo_version != old.version or old.redo_position < old.head_position + turns:
            raise NothingToRedo(turns=turns, story_id=self._story.story_id)
        far = Place(old.redo_scene_number, old.redo_timeline, old.redo_position)
        place = await self._place_on_path(far, old.head_position + turns)
        return await self._move(old, place, None if place == far else far)

    async def switch(self, number: int, expected_branch: int | None) -> Branch:
        """Make a branch the one that is played when none is named."""
        current = self._story.current_branch
        if expected_branch is not None and expected_branch != current:
            raise BranchChanged(expected=expected_branch, actual=current)
        row = await self._branch(number, None)
        if number != current:
            switched = {"current_branch": number, "updated_at": WRITTEN_NOW}
            await self._tx.execute(update(stories).where(*self._in(stories)).values(**switched))
            self._publish(LiveKind.BRANCH_SWITCHED, row)
        return make_branch(row)

    async def rename(self, number: int, name: str) -> Branch:
        """Give a branch another name; its version stays, since its head does."""
        row = await self._branch(number, None)
        if row.name != name:
            await self._refuse_taken(name)
            self._publish(LiveKind.BRANCH_RENAMED, row)
        return make_branch(await self._update(row, name=name))

    async def delete(self, number: int, expected_head: int | None) -> None:
        """Forget a branch; its scenes stay."""
        row = await self._branch(number, expected_head)
        if number == self._story.current_branch:
            raise BranchInUse(story_id=self._story.story_id, branch_number=number)
        gone = delete(branches).where(*self._in(branches), branches.c.branch_number == number)
        await self._tx.execute(gone.add_cte(touched(*self._ids.values())))
        self._tell(events.BRANCH_DELETED, row)
        self._publish(LiveKind.BRANCH_DELETED, row)

    async def _branch(self, number: int | None, expected_head: int | None) -> Row[Any]:
        return await branch_of(self._tx, self._story, number, expected_head)

    async def _go_back(self, old: Row[Any], place: Place) -> Branch:
        """Move the head back and remember the farthest place that was left."""
        if place.position == old.head_position:
            return make_branch(old)
        far = head_of(old)
        if old.redo_version == old.version:
            far = Place(old.redo_scene_number, old.redo_timeline, old.redo_position)
        return await self._move(old, place, far)

    async def _move(self, old: Row[Any], place: Place, redo: Place | None) -> Branch:
        version = old.version + 1
        left = _NO_REDO if redo is None else {**redo.columns("redo"), "redo_version": version}
        row = await self._update(old, version=version, **place.columns("head"), **left)
        self._tell(events.HEAD_MOVED, row)
        self._publish(LiveKind.HEAD_MOVED, row, scene_number=row.head_scene_number or 0)
        return make_branch(row)

    async def _update(self, row: Row[Any], **values: Any) -> Row[Any]:  # noqa: ANN401 - column values
        own = branches.c.branch_number == row.branch_number
        changed = update(branches).where(*self._in(branches), own).values(**values, updated_at=func.now())
        changed = changed.returning(branches).add_cte(touched(*self._ids.values()))
        return (await self._tx.execute(changed)).one()

    async def _refuse_taken(self, name: str) -> None:
        """Raise BranchNameTaken; uq_branches_name decides, this keeps the transaction alive."""
        statement = select(branches.c.branch_number).where(*self._in(branches), branches.c.name == name)
        if await self._tx.scalar(statement) is not None:
            raise BranchNameTaken(story_id=self._story.story_id)

    async def _place_of_scene(self, number: int) -> Place:
        if number == 0:
            return START
        columns = (scenes.c.scene_number, scenes.c.timeline_number, scenes.c.position)
        statement = select(*columns).where(*self._in(scenes), scenes.c.scene_number == number)
        row = (await self._tx.execute(statement)).one_or_none()
        if row is None:
            raise SceneNotFound(story_id=self._story.story_id, scene_number=number)
        return Place(row.scene_number, row.timeline_number, row.position)

    async def _on_path(self, place: Place, branch: Row[Any]) -> bool:
        """Return whether the path of a branch leads through a place."""
        if place.position > branch.head_position:
            return False
        owner = await self._owner(head_of(branch), place.position)
        return place.position == 0 or owner == place.timeline

    async def _place_on_path(self, end: Place, position: int) -> Place:
        """Return the place at a position of the path that leads to `end`."""
        if position in {0, end.position}:
            return end if position else START
        owner = await self._owner(end, position)
        coordinate = and_(scenes.c.timeline_number == owner, scenes.c.position == position)
        number = await self._tx.scalar(select(scenes.c.scene_number).where(*self._in(scenes), coordinate))
        return Place(number, owner, position)

    async def _owner(self, end: Place, position: int) -> int:
        """Return the timeline that has the scene at a position of the path to `end`: its own one, or an ancestor."""
        path = (*self._ids.values(), end.timeline, end.position)
        owner: int = (await self._tx.execute_text(_OWNER, (*path, position))).scalar_one()
        return owner

    def _in(self, table: Any) -> tuple[Any, ...]:  # noqa: ANN401 - Table's columns are untyped
        return tuple(table.c[name] == value for name, value in self._ids.items())

    def _tell(self, event: events.Event, row: Row[Any]) -> None:
        head = row.head_scene_number or 0
        self._tx.log_after_commit(event, **self._ids, branch_number=row.branch_number, scene_number=head)

    def _publish(self, kind: LiveKind, row: Row[Any], **details: int) -> None:
        publish_at_commit(self._tx, self._ids["story_id"], kind, branch_number=row.branch_number, **details)


async def open_branches(tx: Transaction, story_id: UUID) -> BranchMoves:
    """Lock a story and return its branches; raises StoryNotFound, Archived."""
    return BranchMoves(tx, await lock_open_story(tx, story_id))


def make_branch(row: Row[Any]) -> Branch:
    """Return the record that a row of the table branches makes."""
    return Branch(number=row.branch_number, name=row.name, head=row.head_scene_number or 0, length=row.head_position)
