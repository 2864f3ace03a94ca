"""Random walks that write world state, compared with a pure-Python model on every path after every step."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from livingworld import RETRACTED, NewMemory, NewScene, NewState, RelationshipChange
from livingworld.errors import NothingToRedo, NothingToUndo
from tests.integration.state_model import Change, StateModel
from tests.integration.test_branch_walks import Opened, opened
from tests.support.rotation import SEED, WHOLE

__all__ = ["opened"]

#: A commit takes other walks than the one before it.
_WALKS: Final = 25 if WHOLE else 8
_STEPS: Final = 30
numbers = st.integers(min_value=0, max_value=10**6)
changes = st.one_of(
    st.tuples(st.just("fact"), st.sampled_from(["mood", "place"]), st.one_of(st.none(), st.integers(0, 9))),
    st.tuples(st.just("trust"), st.sampled_from([-1.5, -0.5, 0.25, 0.75]), st.none()),
    st.tuples(st.just("memory"), st.sampled_from(["lamp", "tide", "boat"]), st.none()),
)


class StateWalk(RuleBasedStateMachine):
    """One story, told, undone and forked by rules that write state too."""

    opened: Opened

    @initialize()
    def begin(self) -> None:
        self.world, self.run = self.opened.world, self.opened.run
        self.model = StateModel()
        self.story = self.run(self.world.stories.create("walk"))
        mara, _ = self.run(self.world.characters.get_or_create("Mara"))
        tom, _ = self.run(self.world.characters.get_or_create("Tom"))
        self.pair = (mara.id, tom.id)
        self.steps = 0

    def pick(self, number: int) -> int:
        branches = sorted(self.model.branches)
        return branches[number % len(branches)]

    def text(self) -> str:
        self.steps += 1
        return f"text {self.steps}"

    @rule(number=numbers, change=changes)
    def write(self, number: int, change: Change) -> None:
        branch = self.pick(number)
        kind, what, value = change
        at: dict[str, Any] = {"branch": branch}
        if kind == "trust":
            self.run(self.world.relationships.adjust(self.story.id, *self.pair, trust=float(what), **at))
        elif kind == "memory":
            self.run(self.world.memories.add(self.story.id, [NewMemory(str(what))], **at))
        elif value is None:
            self.run(self.world.facts.retract(self.story.id, "Mara", str(what), **at))
        else:
            self.run(self.world.facts.set(self.story.id, "Mara", str(what), value, **at))
        self.model.bring(branch, change)

    @rule(number=numbers, brought=st.lists(changes, max_size=4), regenerate=st.booleans())
    def turn(self, number: int, brought: list[Change], regenerate: bool) -> None:  # noqa: FBT001 - hypothesis gives names
        branch, text = self.pick(number), self.text()
        regenerate = regenerate and self.model.branches[branch].head > 0
        scene = self.run(self.play(branch, text, brought, regenerate=regenerate))
        assert scene == (self.model.regenerate(branch, text) if regenerate else self.model.append(branch, text))
        # A fact is named once in a turn: the last one holds. Facts go first, then changes, then memories.
        facts = {what: (kind, what, value) for kind, what, value in brought if kind == "fact"}
        for change in [
            *facts.values(),
            *sorted((each for each in brought if each[0] != "fact"), key=lambda c: c[0] == "memory"),
        ]:
            self.model.bring(branch, change)

    async def play(self, branch: int, text: str, brought: list[Change], *, regenerate: bool) -> int:
        state = NewState(
            facts={("Mara", str(w)): RETRACTED if v is None else v for kind, w, v in brought if kind == "fact"},
            relationships=[
                RelationshipChange(*self.pair, trust=float(what)) for kind, what, _ in brought if kind == "trust"
            ],
            memories=[NewMemory(str(what)) for kind, what, _ in brought if kind == "memory"],
        )
        take = self.world.turns.regenerate if regenerate else self.world.turns.take
        async with take(self.story.id, request_key=text, branch=branch) as turn:
            expected = self.model.seen(turn.context.head).facts
            assert {fact.attribute: fact.value for fact in turn.context.facts} == expected
            return (await turn.commit(NewScene(text), state)).number

    @rule(number=numbers, chosen=numbers)
    def choose(self, number: int, chosen: int) -> None:
        branch = self.pick(number)
        if not (texts := self.model.chosen_in_place(branch)):
            return
        text = texts[chosen % len(texts)]
        head = self.model.branches[branch].head
        found = self.run(self.world.generations.alternatives(self.story.id, head))
        (generation,) = [each for each in found if each.content == text]
        assert self.run(self.world.generations.choose(generation.id, branch=branch)).number == head
        self.model.choose(branch, text)

    @rule(number=numbers, turns=st.integers(1, 3))
    def undo(self, number: int, turns: int) -> None:
        branch = self.pick(number)
        path = self.model.path(self.model.branches[branch].head)
        if turns > len(path):
            with pytest.raises(NothingToUndo):
                self.run(self.world.branches.undo(self.story.id, turns, branch=branch))
            return
        self.run(self.world.branches.undo(self.story.id, turns, branch=branch))
        self.model.move_back(branch, ([0, *path])[-turns - 1])

    @rule(number=numbers, turns=st.integers(1, 2))
    def redo(self, number: int, turns: int) -> None:
        branch = self.pick(number)
        if turns > len(self.model.redo_path(branch)):
            with pytest.raises(NothingToRedo):
                self.run(self.world.branches.redo(self.story.id, turns, branch=branch))
            return
        self.run(self.world.branches.redo(self.story.id, turns, branch=branch))
        self.model.redo(branch, turns)

    @rule(at=numbers)
    def fork(self, at: int) -> None:
        place, name = at % (len(self.model.parents) + 1), self.text()
        made = self.run(self.world.branches.fork(self.story.id, name, at=place))
        assert made.number == self.model.fork(name, place)

    @invariant()
    def every_scene_and_branch_sees_what_the_model_sees(self) -> None:
        if hasattr(self, "story"):
            for branch, model in self.model.branches.items():
                self.compare(model.head, branch=branch)
            for scene in range(len(self.model.parents) + 1):
                self.compare(scene, as_of=scene)

    def compare(self, head: int, branch: int | None = None, as_of: int | None = None) -> None:
        view: Any = {"branch": branch, "as_of": as_of}
        expected, story = self.model.seen(head), self.story.id
        facts = self.run(self.world.facts.all(story, **view))
        felt = self.run(self.world.relationships.between(story, *self.pair, **view))
        remembered = self.run(self.world.memories.recent(story, k=1000, **view))
        assert {fact.attribute: fact.value for fact in facts} == expected.facts
        assert (felt.trust if felt else 0.0, felt.changes if felt else 0) == (expected.trust, expected.changes)
        assert sorted(memory.content for memory in remembered) == sorted(expected.memories)


@pytest.mark.rotates
def test_random_walks_leave_the_same_state_as_the_model(opened: Opened) -> None:
    walk = seed(SEED)(type("Walk", (StateWalk,), {"opened": opened}))

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
