from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from livingworld import NewScene, Story, World
from livingworld.errors import (
    Archived,
    BranchChanged,
    BranchInUse,
    BranchNameTaken,
    BranchNotFound,
    InvalidInput,
    NothingToRedo,
    NothingToUndo,
    SceneNotFound,
    SceneNotOnPath,
    StaleHead,
    StoryNotFound,
)
from livingworld.identifiers import new_id
from tests.support.story_checks import broken_promises, read_path


async def append_scenes(world: World, story: Story, *texts: str, branch: int | None = None) -> None:
    for text in texts:
        await world.stories.append_scene(story.id, NewScene(text), branch=branch)


async def test_a_fork_points_where_it_was_asked_to_and_moves_nobody(world: World, story: Story) -> None:
    await append_scenes(world, story, "one", "two", "three")

    at_head = await world.branches.fork(story.id, "at the head")
    at_one = await world.branches.fork(story.id, "at one", at=1, expected_head=3)
    at_start = await world.branches.fork(story.id, "at the start", at=0)

    assert [(each.number, each.head, each.length) for each in (at_head, at_one, at_start)] == [
        (2, 3, 3),
        (3, 1, 1),
        (4, 0, 0),
    ]
    assert (await world.stories.head(story.id)).branch.number == 1
    await append_scenes(world, story, "another two", branch=3)
    await append_scenes(world, story, "another one", branch=4)
    assert await read_path(world, story.id, 3) == [1, 4]
    assert await read_path(world, story.id, 4) == [5]
    assert await read_path(world, story.id, 1) == [1, 2, 3]


async def test_undo_and_redo_walk_back_and_forth_and_nothing_is_lost(
    database_url: str, world: World, story: Story
) -> None:
    await append_scenes(world, story, "one", "two", "three")

    assert (await world.branches.undo(story.id, expected_head=3)).head == 2
    assert (await world.branches.rewind(story.id, 0)).head == 0
    assert (await world.branches.redo(story.id)).head == 1
    assert (await world.branches.redo(story.id, 2)).head == 3
    with pytest.raises(NothingToRedo):
        await world.branches.redo(story.id)
    with pytest.raises(NothingToUndo):
        await world.branches.undo(story.id, 4)
    assert await read_path(world, story.id, 1) == [1, 2, 3]
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_a_scene_after_an_undo_opens_a_timeline_and_ends_the_redo(
    database_url: str, world: World, story: Story
) -> None:
    await append_scenes(world, story, "one", "two", "three")
    await world.branches.undo(story.id, 2)
    await append_scenes(world, story, "another two")

    with pytest.raises(NothingToRedo):
        await world.branches.redo(story.id)
    assert await read_path(world, story.id, 1) == [1, 4]
    assert [scene.parent_number for scene in await world.branches.tree(story.id)] == [None, 1, 2, 1]
    assert (await world.stories.scene(story.id, 3)).content == "three"
    assert await broken_promises(database_url, world.id, story.id) == []


async def test_a_rename_keeps_what_undo_left(world: World, story: Story) -> None:
    await append_scenes(world, story, "one", "two")
    await world.branches.undo(story.id)
    renamed = await world.branches.rename(story.id, 1, "the tide")

    assert renamed.name == "the tide"
    assert (await world.branches.rename(story.id, 1, "the tide")).name == "the tide"
    assert (await world.branches.redo(story.id)).head == 2


async def test_the_current_branch_is_switched_and_a_branch_is_forgotten_but_not_its_scenes(
    world: World, story: Story
) -> None:
    await append_scenes(world, story, "one")
    fork = await world.branches.fork(story.id, "fork")
    with pytest.raises(BranchChanged):
        await world.branches.switch(story.id, fork.number, expected_branch=2)
    await world.branches.switch(story.id, fork.number, expected_branch=1)
    await append_scenes(world, story, "two on the fork")
    with pytest.raises(BranchInUse):
        await world.branches.delete(story.id, fork.number)
    await world.branches.switch(story.id, 1)
    with pytest.raises(StaleHead):
        await world.branches.delete(story.id, fork.number, expected_head=1)
    await world.branches.delete(story.id, fork.number, expected_head=2)

    assert [branch.number for branch in (await world.branches.list(story.id)).items] == [1]
    assert (await world.stories.scene(story.id, 2)).content == "two on the fork"
    assert (await world.branches.fork(story.id, "fork")).number == 3
    with pytest.raises(BranchNotFound):
        await append_scenes(world, story, "nowhere", branch=2)


async def test_branches_are_listed_in_pages(world: World, story: Story) -> None:
    for number in range(2, 8):
        await world.branches.fork(story.id, f"branch {number}")

    first = await world.branches.list(story.id, limit=4)
    second = await world.branches.list(story.id, after=first.next, limit=4)

    assert [branch.number for branch in (*first.items, *second.items)] == list(range(1, 8))
    assert second.next is None
    assert (await world.branches.list(new_id())).items == ()
    assert await world.branches.tree(new_id()) == ()


async def test_everything_is_part_of_a_transaction_where_there_is_one(world: World, story: Story) -> None:
    await append_scenes(world, story, "one", "two")
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            await tx.branches.undo(story.id)
            fork = await tx.branches.fork(story.id, "fork")
            await tx.stories.append_scene(story.id, NewScene("three"), branch=fork.number)
            with pytest.raises(BranchNameTaken):
                await tx.branches.fork(story.id, "fork")
            assert (await tx.branches.tree(story.id))[-1].parent_number == 1
            raise ZeroDivisionError

    assert (await world.stories.head(story.id)).branch.head == 2
    assert len((await world.branches.list(story.id)).items) == 1


REFUSED: dict[str, tuple[type[Exception], Callable[[World, Story], Awaitable[Any]]]] = {
    "no such story": (StoryNotFound, lambda world, _: world.branches.undo(new_id())),
    "no such branch": (BranchNotFound, lambda world, story: world.branches.undo(story.id, branch=9)),
    "no such scene": (SceneNotFound, lambda world, story: world.branches.rewind(story.id, 99)),
    "fork of no scene": (SceneNotFound, lambda world, story: world.branches.fork(story.id, "x", at=99)),
    "not on the path": (SceneNotOnPath, lambda world, story: world.branches.rewind(story.id, 3)),
    "name of another": (BranchNameTaken, lambda world, story: world.branches.fork(story.id, "main")),
    "rename to another's": (BranchNameTaken, lambda world, story: world.branches.rename(story.id, 2, "main")),
    "stale head": (StaleHead, lambda world, story: world.branches.undo(story.id, expected_head=1)),
    "empty name": (InvalidInput, lambda world, story: world.branches.fork(story.id, " ")),
    "no turns": (InvalidInput, lambda world, story: world.branches.undo(story.id, 0)),
    "negative head": (InvalidInput, lambda world, story: world.branches.redo(story.id, expected_head=-1)),
    "branch 0": (InvalidInput, lambda world, story: world.branches.switch(story.id, 0)),
    "not a cursor": (InvalidInput, lambda world, story: world.branches.list(story.id, after="x")),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_done_has_a_name_and_changes_nothing(
    database_url: str, world: World, story: Story, case: str
) -> None:
    await append_scenes(world, story, "one", "two")
    await world.branches.fork(story.id, "fork", at=1)
    await append_scenes(world, story, "three", branch=2)
    before = (await world.branches.list(story.id)).items, await world.branches.tree(story.id)

    kind, call = REFUSED[case]
    with pytest.raises(kind):
        await call(world, story)

    assert ((await world.branches.list(story.id)).items, await world.branches.tree(story.id)) == before


async def test_an_archived_story_keeps_its_branches_as_they_are(world: World, story: Story) -> None:
    await append_scenes(world, story, "one")
    await world.stories.archive(story.id)

    for call in (world.branches.undo(story.id), world.branches.fork(story.id, "x"), world.branches.switch(story.id, 1)):
        with pytest.raises(Archived):
            await call
