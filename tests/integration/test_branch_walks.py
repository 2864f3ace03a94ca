"""Random walks over branches, compared with a pure-Python model after every step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from livingworld import LivingWorld, NewScene, Scene, Story, World
from livingworld.errors import BranchNameTaken, NothingToRedo, NothingToUndo, SceneNotOnPath
from tests.integration.branch_model import StoryModel
from tests.support.rotation import SEED, WHOLE

T = TypeVar("T")

#: A commit takes other walks than the one before it.
_WALKS: Final = 25 if WHOLE else 8
_STEPS: Final = 30
_NAMES: Final = [f"branch {number}" for number in range(6)]


class Opened:
    """One world for all walks, and the loop it lives in."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        livingworld = self.run(self.stack.enter_async_context(LivingWorld.open(database_url=url)))
        self.world: World = self.run(livingworld.worlds.create("walks"))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()


class BranchWalk(RuleBasedStateMachine):
    """One story, moved about in by rules."""

    opened: Opened
    numbers: Final = st.integers(min_value=0, max_value=10**6)

    @initialize()
    def begin(self) -> None:
        self.world = self.opened.world
        self.model = StoryModel()
        self.story: Story = self.run(self.world.stories.create("walk"))
        self.steps = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.opened.run(work)

    def pick(self, number: int) -> int:
        """Return one of the branches."""
        branches = sorted(self.model.branches)
        return branches[number % len(branches)]

    def text(self) -> str:
        self.steps += 1
        return f"text {self.steps}"

    @rule(number=numbers)
    def append(self, number: int) -> None:
        branch, text = self.pick(number), self.text()
        scene = self.run(self.world.stories.append_scene(self.story.id, NewScene(text), branch=branch))
        assert scene.number == self.model.append(branch, text)

    @rule(number=numbers)
    def take_a_turn(self, number: int) -> None:
        branch, text = self.pick(number), self.text()
        scene = self.run(self.turn(branch, text))
        assert scene.number == self.model.append(branch, text)

    @rule(number=numbers, at=numbers, name=st.sampled_from(_NAMES))
    def fork(self, number: int, at: int, name: str) -> None:
        source = self.pick(number)
        place = at % (len(self.model.parents) + 1)
        options: dict[str, Any] = {"at": place} if number % 2 else {"branch": source}
        if name in {branch.name for branch in self.model.branches.values()}:
            with pytest.raises(BranchNameTaken):
                self.run(self.world.branches.fork(self.story.id, name, **options))
            return
        made = self.run(self.world.branches.fork(self.story.id, name, **options))
        assert made.number == self.model.fork(name, place if number % 2 else self.model.branches[source].head)

    @rule(number=numbers, turns=st.integers(1, 4))
    def undo(self, number: int, turns: int) -> None:
        branch = self.pick(number)
        path = self.model.path(self.model.branches[branch].head)
        if turns > len(path):
            with pytest.raises(NothingToUndo):
                self.run(self.world.branches.undo(self.story.id, turns, branch=branch))
            return
        self.run(self.world.branches.undo(self.story.id, turns, branch=branch))
        self.model.move_back(branch, ([0, *path])[-turns - 1])

    @rule(number=numbers, turns=st.integers(1, 3))
    def redo(self, number: int, turns: int) -> None:
        branch = self.pick(number)
        if turns > len(self.model.redo_path(branch)):
            with pytest.raises(NothingToRedo):
                self.run(self.world.branches.redo(self.story.id, turns, branch=branch))
            return
        self.run(self.world.branches.redo(self.story.id, turns, branch=branch))
        self.model.redo(branch, turns)

    @rule(number=numbers, to=numbers)
    def rewind(self, number: int, to: int) -> None:
        branch, place = self.pick(number), to % (len(self.model.parents) + 1)
        if place not in [0, *self.model.path(self.model.branches[branch].head)]:
            with pytest.raises(SceneNotOnPath):
                self.run(self.world.branches.rewind(self.story.id, place, branch=branch))
            return
        self.run(self.world.branches.rewind(self.story.id, place, branch=branch))
        self.model.move_back(branch, place)

    @rule(number=numbers)
    def switch(self, number: int) -> None:
        self.model.current = self.pick(number)
        self.run(self.world.branches.switch(self.story.id, self.model.current))

    @rule(number=numbers)
    def rename(self, number: int) -> None:
        branch, name = self.pick(number), self.text()
        self.run(self.world.branches.rename(self.story.id, branch, name))
        self.model.branches[branch].name = name

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        branch = self.pick(number)
        if branch != self.model.current:
            self.run(self.world.branches.delete(self.story.id, branch))
            del self.model.branches[branch]

    @precondition(lambda self: self.model.parents)
    @rule(number=numbers)
    def edit(self, number: int) -> None:
        scene, text = number % len(self.model.parents) + 1, self.text()
        version = self.run(self.world.stories.scene(self.story.id, scene)).version
        self.run(self.world.stories.edit_scene(self.story.id, scene, expected_version=version, content=text))
        self.model.texts[scene - 1] = text

    @rule(number=numbers)
    def alternative(self, number: int) -> None:
        branch, text = self.pick(number), self.text()
        if self.model.branches[branch].head:
            scene = self.run(self.turn(branch, text, regenerates=True))
            assert scene.number == self.model.regenerate(branch, text)

    @invariant()
    def heads_and_paths_are_those_of_the_model(self) -> None:
        if not hasattr(self, "story"):
            return
        listed = self.run(self.world.branches.list(self.story.id, limit=100)).items
        assert {each.number: (each.name, each.head) for each in listed} == {
            number: (branch.name, branch.head) for number, branch in self.model.branches.items()
        }
        assert self.run(self.world.stories.head(self.story.id)).branch.number == self.model.current
        for each in listed:
            path = self.model.path(each.head)
            assert each.length == len(path)
            for newest_first in (False, True):
                self.compare(each.number, path, newest_first=newest_first)

    @invariant()
    def the_tree_is_that_of_the_model(self) -> None:
        if not hasattr(self, "story"):
            return
        tree = self.run(self.world.branches.tree(self.story.id))
        assert [(scene.number, scene.parent_number or 0) for scene in tree] == list(enumerate(self.model.parents, 1))
        for scene in tree:
            assert scene.position == len(self.model.path(scene.number))
            heads = [number for number, branch in self.model.branches.items() if branch.head == scene.number]
            assert list(scene.branches) == sorted(heads)

    def compare(self, branch: int, path: list[int], *, newest_first: bool) -> None:
        page = self.run(self.world.stories.scenes(self.story.id, branch=branch, limit=1000, newest_first=newest_first))
        expected = [(number, place, self.model.texts[number - 1]) for place, number in enumerate(path, 1)]
        found = [(scene.number, scene.position, scene.content) for scene in page.items]
        assert found == (expected[::-1] if newest_first else expected)

    async def turn(self, branch: int, text: str, *, regenerates: bool = False) -> Scene:
        take = self.world.turns.regenerate if regenerates else self.world.turns.take
        async with take(self.story.id, request_key=text, branch=branch) as turn:
            assert turn.context.recent == () or turn.context.recent[-1].number == turn.context.head
            return await turn.commit(NewScene(text))


@pytest.fixture
def opened(database_url: str) -> Iterator[Opened]:
    opened = Opened(database_url)
    yield opened
    opened.close()


@pytest.mark.rotates
def test_random_walks_leave_the_same_tree_as_the_model(opened: Opened) -> None:
    walk = seed(SEED)(type("Walk", (BranchWalk,), {"opened": opened}))

    run_state_machine_as_test(
        walk,
        settings=settings(
            max_examples=_WALKS,
            stateful_step_count=_STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
