"""Histories of livingworld itself: nothing is wrong with them, and one change of what is stored is found each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, Story, World
from livingworld.testing.history import Flaw, History, Kind, Observed, Outcome, check
from livingworld.testing.stress import carrying
from livingworld.testing.stress.carrying import CARRIERS
from livingworld.testing.stress.deeds import CHECKED
from livingworld.testing.stress.observing import observe
from livingworld.testing.stress.other_deeds import OTHERS
from livingworld.testing.stress.stage import COUNTER, LEASE, UNEMBEDDED, Stage, facts_of
from livingworld.testing.stress.writer import Deed, Writer

pytestmark = pytest.mark.any_server


@dataclass(frozen=True)
class Played:
    """What four writers did, and what is then stored."""

    stage: Stage
    history: History
    observed: Observed

    def changed(self, **parts: object) -> Observed:
        return replace(self.observed, **parts)  # type: ignore[arg-type]  # parts of an Observed

    def of_list(self, target: str, change: Callable[[list[object]], object]) -> Observed:
        """Return what would be stored if this had happened to a list."""
        values: list[object] = list(self.observed.lists[target])
        change(values)
        return self.changed(lists={**self.observed.lists, target: values})

    def of_document(self, change: Callable[[list[object]], object]) -> Observed:
        name, stored = next((name, stored) for name, stored in self.observed.documents.items() if len(stored) > 2)
        values: list[object] = list(stored)
        change(values)
        return self.changed(documents={**self.observed.documents, name: values})


async def writers_of(livingworld: LivingWorld, world: World, history: History) -> tuple[Stage, list[Writer]]:
    aside = await livingworld.worlds.create("Aside")
    stage = await Stage.build(world, aside)
    return stage, [Writer(f"w{number}", livingworld, (world, aside), stage, history) for number in range(4)]


@pytest_asyncio.fixture
async def played(livingworld: LivingWorld, world: World, database_url: str) -> Played:
    history = History()
    stage, writers = await writers_of(livingworld, world, history)

    async def play(writer: Writer) -> None:
        for _ in range(3):
            deeds = CHECKED + CARRIERS
            for deed in writer.chance.sample(deeds, len(deeds)):
                await writer.tried(deed)

    await asyncio.gather(*map(play, writers))
    return Played(stage, history, await observe(database_url, stage))


def story_of(it: Played) -> str:
    return max(it.stage.stories, key=lambda story: len(it.observed.lists[story]))


def swap(values: list[object]) -> None:
    values[0], values[1] = values[1], values[0]


def unit_of(it: Played) -> tuple[str, str]:
    """Return the document and the value of a confirmed unit of several writes."""
    units = (each for each in it.history.operations if each.name == "run" and each.outcome is Outcome.OK)
    (written,) = (effect for effect in next(units).effects if effect.kind is Kind.WRITE)
    return written.target, str(written.value)


def carried(it: Played) -> str:
    """Return a story that was carried into the world."""
    asked = (each for each in it.history.operations if each.name == "import_story" and each.outcome is Outcome.OK)
    return next(asked).effects[0].target


def half_a_unit(it: Played) -> Observed:
    name, value = unit_of(it)
    versions = [None if each == value else each for each in it.observed.documents[name]]
    return it.changed(documents={**it.observed.documents, name: versions})


CHANGES: Final[dict[str, tuple[Callable[[Played], Observed], Flaw]]] = {
    "a scene deleted": (lambda it: it.of_list(story_of(it), lambda values: values.pop(1)), Flaw.LOST),
    "a scene doubled": (lambda it: it.of_list(story_of(it), lambda values: values.append(values[0])), Flaw.DOUBLED),
    "two scenes swapped": (lambda it: it.of_list(story_of(it), swap), Flaw.WRONG_ORDER),
    "a scene of nobody": (lambda it: it.of_list(story_of(it), lambda values: values.append("?")), Flaw.PHANTOM),
    "half of a unit": (half_a_unit, Flaw.PARTIAL),
    "a fact dropped": (
        lambda it: it.of_list(
            facts_of(max(it.stage.stories, key=lambda story: len(it.observed.lists[facts_of(story)]))),
            lambda values: values.pop(),
        ),
        Flaw.PARTIAL,
    ),
    "an update dropped": (lambda it: it.of_document(lambda values: values.pop(1)), Flaw.LOST),
    "a version set twice": (lambda it: it.of_document(lambda values: values.append(values[0])), Flaw.DOUBLED),
    "an increment lost": (
        lambda it: it.changed(counters={COUNTER: it.observed.counters[COUNTER] - 1}),
        Flaw.LOST,
    ),
    "an increment counted twice": (
        lambda it: it.changed(counters={COUNTER: it.observed.counters[COUNTER] + 1}),
        Flaw.DOUBLED,
    ),
    "an overtaken owner wrote": (
        lambda it: it.changed(fenced={LEASE: [*it.observed.fenced[LEASE], it.observed.fenced[LEASE][0]]}),
        Flaw.OVERLAP,
    ),
    "a write under a lease twice": (
        lambda it: it.changed(fenced={LEASE: [*it.observed.fenced[LEASE], it.observed.fenced[LEASE][-1]]}),
        Flaw.DOUBLED,
    ),
    "a write under a token of nobody": (
        lambda it: it.changed(fenced={LEASE: [*it.observed.fenced[LEASE], it.observed.fenced[LEASE][-1] + 9]}),
        Flaw.PHANTOM,
    ),
    "an ended action waits again": (
        lambda it: it.changed(waiting={lane: [*each] for lane, each in it.observed.ended.items()}),
        Flaw.DOUBLED,
    ),
    "an action of nobody": (
        lambda it: it.changed(ended={lane: [*each, "?"] for lane, each in it.observed.ended.items()}),
        Flaw.PHANTOM,
    ),
    "an action gone": (lambda it: it.changed(waiting={}, ended={}), Flaw.LOST),
    "an action ended twice": (
        lambda it: it.changed(ended={lane: [*each, each[0]] for lane, each in it.observed.ended.items()}),
        Flaw.DOUBLED,
    ),
    "a carried story gone": (lambda it: it.of_list(carried(it), lambda values: values.clear()), Flaw.LOST),
    "half of a carried story": (lambda it: it.of_list(carried(it), lambda values: values.pop()), Flaw.PARTIAL),
    "a carried story twice": (lambda it: it.of_list(carried(it), lambda values: values.extend(values)), Flaw.DOUBLED),
    "a memory without a job": (lambda it: it.of_list(UNEMBEDDED, lambda values: values.append("?")), Flaw.PHANTOM),
    "an input merged away": (lambda it: it.of_list(it.stage.merged, lambda values: values.pop()), Flaw.LOST),
}


async def test_a_history_with_one_change_is_flagged_each_time(played: Played) -> None:
    verdict = check(played.history.operations, played.observed)
    assert verdict.kept, verdict.anomalies
    assert verdict.operations > 100

    for name, (change, flaw) in CHANGES.items():
        assert flaw in check(played.history.operations, change(played)).flaws, name


async def test_a_copy_that_lacks_a_scene_is_flagged(
    livingworld: LivingWorld, world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, texts = History(), carrying._texts

    async def one_less(of: World, story: Story) -> list[str]:
        found = await texts(of, story)
        monkeypatch.setattr(carrying, "_texts", texts)
        return found[1:]

    stage, (writer, *_) = await writers_of(livingworld, world, history)
    await carrying.carry_a_world(writer)
    assert check(history.operations, await observe(database_url, stage)).kept
    monkeypatch.setattr(carrying, "_texts", one_less)
    await carrying.carry_a_world(writer)

    assert Flaw.WRONG_ORDER in check(history.operations, await observe(database_url, stage)).flaws


@pytest.mark.parametrize("deed", [*CHECKED[:-1], *OTHERS], ids=lambda deed: deed.__name__)
async def test_every_deed_alone_is_done_to_its_end(livingworld: LivingWorld, world: World, deed: Deed) -> None:
    history = History()
    _, (writer, *_) = await writers_of(livingworld, world, history)

    await deed(writer)
    assert {each.outcome for each in history.operations} == {Outcome.OK}
