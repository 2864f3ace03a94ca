"""Branches: the public calls; their work is in moving.py and reading.py."""

from __future__ import annotations

from uuid import UUID

from livingworld import inputs
from livingworld.postgres.keyset import Page, check_limit, number_cursor, page_by
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.branches import moving
from livingworld.story.stories.at_least import AtLeast, wanted
from livingworld.story.stories.coordinates import check_branch, check_head
from livingworld.story.stories.reading import read_branches, read_tree
from livingworld.story.stories.records import Branch, TreeScene


class BranchRepository:
    """The branches of the stories of one world: named pointers into the tree of scenes. No scene is ever changed here.

    Every write locks the story and raises StoryNotFound, BranchNotFound and Archived. Where `expected_head` is given,
    the scene number that the caller decided on, 0 before the first, another head is StaleHead.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def list(self, story_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[Branch]:
        """Return a page of branches, oldest first; empty when there is no such story."""
        check_limit(limit)
        number = 0 if after is None else number_cursor(after)
        found = await self._unit.read(read_branches, _story(story_id), number, limit + 1)
        return page_by(found, limit, lambda branch: branch.number)

    async def tree(self, story_id: UUID, *, at_least: AtLeast | None = None) -> tuple[TreeScene, ...]:
        """Return every scene of the story in the order of numbers, without its text, with the branches at it.

        One round trip; the answer grows with the story. Empty when it has no scene and when there is no such story.
        """
        key = _story(story_id)
        return await self._unit.read_at_least(wanted(self._unit, at_least, key), read_tree, key)

    async def fork(
        self,
        story_id: UUID,
        name: str,
        *,
        at: int | None = None,
        branch: int | None = None,
        expected_head: int | None = None,
        request_key: str | None = None,
    ) -> Branch:
        """Add a branch at a scene, 0 for the place before the first; default: the head of `branch` or the current one.

        The current branch stays the current one. With a `request_key` a repetition returns the branch as it is now.
        Raises BranchNameTaken, SceneNotFound, StaleHead, RequestKeyReused.
        """
        inputs.check_label("name", name)
        place = inputs.check_optional_integer("at", at)
        fork = moving.Fork(_story(story_id), name, place, check_branch(branch), check_head(expected_head))
        request = fork.request(request_key)
        if request is None:
            return await self._unit.write(moving.fork, fork, None)
        return await self._unit.write_idempotent(moving.fork, fork, request)

    async def rewind(
        self, story_id: UUID, to: int, *, branch: int | None = None, expected_head: int | None = None
    ) -> Branch:
        """Move the head back to a scene of its path, 0 for the place before the first, and return the branch.

        The scenes after it stay. The next scene begins a new timeline beside them; until then `redo` leads back.
        Raises SceneNotOnPath, SceneNotFound, StaleHead.
        """
        inputs.check_integer("to", to)
        number, head = check_branch(branch), check_head(expected_head)
        return await self._unit.write(moving.rewind, _story(story_id), to, number, head)

    async def undo(
        self, story_id: UUID, turns: int = 1, *, branch: int | None = None, expected_head: int | None = None
    ) -> Branch:
        """Move the head back by a number of scenes and return the branch; raises NothingToUndo, StaleHead."""
        inputs.check_integer("turns", turns, minimum=1)
        number, head = check_branch(branch), check_head(expected_head)
        return await self._unit.write(moving.undo, _story(story_id), turns, number, head)

    async def redo(
        self, story_id: UUID, turns: int = 1, *, branch: int | None = None, expected_head: int | None = None
    ) -> Branch:
        """Move the head forward by a number of scenes, where `undo` and `rewind` came from, and return the branch.

        Possible until another move of the head. Raises NothingToRedo, StaleHead.
        """
        inputs.check_integer("turns", turns, minimum=1)
        number, head = check_branch(branch), check_head(expected_head)
        return await self._unit.write(moving.redo, _story(story_id), turns, number, head)

    async def switch(self, story_id: UUID, branch: int, *, expected_branch: int | None = None) -> Branch:
        """Make a branch the story's current one and return it.

        Raises BranchChanged when `expected_branch` is given and another branch is the current one.
        """
        number = inputs.check_integer("branch", branch, minimum=1)
        expected = inputs.check_optional_integer("expected_branch", expected_branch, minimum=1)
        return await self._unit.write(moving.switch, _story(story_id), number, expected)

    async def rename(self, story_id: UUID, branch: int, name: str) -> Branch:
        """Give a branch another name and return it; raises BranchNameTaken."""
        inputs.check_label("name", name)
        number = inputs.check_integer("branch", branch, minimum=1)
        return await self._unit.write(moving.rename, _story(story_id), number, name)

    async def delete(self, story_id: UUID, branch: int, *, expected_head: int | None = None) -> None:
        """Remove a branch: its name and its pointer. Its scenes stay, and its number is never used again.

        Raises BranchInUse for the current one, StaleHead.
        """
        number, head = inputs.check_integer("branch", branch, minimum=1), check_head(expected_head)
        await self._unit.write(moving.delete_branch, _story(story_id), number, head)


def _story(story_id: UUID) -> UUID:
    return inputs.check_uuid("story_id", story_id)
