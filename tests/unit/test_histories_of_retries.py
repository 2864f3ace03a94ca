"""The checks of histories find what goes wrong only where something is asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final

import pytest

from livingworld.testing.history import Effect, Flaw, History, Kind, Observed, Operation, Outcome, check
from tests.support import flawed_retries as flawed
from tests.support.flawed_stores import Store
from tests.unit.test_history_checks import played

pytestmark = pytest.mark.any_server
PLAYED: Final[list[tuple[type[Store], Flaw]]] = [
    (flawed.AnswersWithTheLastScene, Flaw.WRONG_ORDER),
    (flawed.AnswersWithTheLastScene, Flaw.DOUBLED),
    (flawed.AnswersWithAnothersScene, Flaw.WRONG_ORDER),
    (flawed.WritesTwiceUnderAToken, Flaw.DOUBLED),
    (flawed.QueuesAgain, Flaw.DOUBLED),
    (flawed.GrantsTokensAgain, Flaw.WRONG_ORDER),
]
CUT: Final[list[tuple[type[Any], Flaw]]] = [
    (flawed.ForgetsWhereItWas, Flaw.DOUBLED),
    (flawed.SwapsAcrossACut, Flaw.WRONG_ORDER),
    (flawed.NumbersAnewAcrossACut, Flaw.WRONG_ORDER),
    (flawed.AnnouncesWhatIsRolledBack, Flaw.PHANTOM),
]


@pytest.mark.parametrize(("kind", "flaw"), PLAYED, ids=lambda part: getattr(part, "__name__", str(part)))
async def test_a_flaw_of_repeated_requests_is_found(kind: type[Store], flaw: Flaw) -> None:
    operations, observed = await played(kind, 1)

    assert flaw in check(operations, observed).flaws


@pytest.mark.parametrize(("kind", "flaw"), CUT, ids=lambda part: getattr(part, "__name__", str(part)))
async def test_a_flaw_of_a_stream_that_was_cut_is_found(kind: type[Any], flaw: Flaw) -> None:
    store, history = kind(Random(1)), History()
    for value in "abcd":
        await recorded_append(store, history, value)
    await receive(history, None, await store.events_after("s", 0))
    for value in "e" if flaw is Flaw.PHANTOM else "efgh":
        await recorded_append(store, history, value)
    observed = Observed(lists=store.lists, streams=store.lists)
    assert check(history.operations, observed).kept
    await receive(history, *await store.reconnected("s", 4))

    assert flaw in check(history.operations, observed).flaws


async def recorded_append(store: Store, history: History, value: str) -> None:
    with history.recording("writer", "append", Effect(Kind.APPEND, "s", value)) as answer:
        answer.results = (await store.append("s", value, value),)


async def receive(history: History, missed: int | None, events: Sequence[tuple[int, str]]) -> None:
    if missed is not None:
        with history.recording("follower", "receive", Effect(Kind.MISS, "s")) as answer:
            answer.results = (missed,)
    for number, value in events:
        with history.recording("follower", "receive", Effect(Kind.RECEIVE, "s", value)) as answer:
            answer.results = (number,)


async def test_a_unit_of_which_only_the_counter_is_lost_is_found_although_nobody_knows_its_end() -> None:
    store, history = flawed.CountsNothingInARetry(Random(1)), History()

    async def count(number: int) -> None:
        effects = Effect(Kind.APPEND, "s", f"v{number}"), Effect(Kind.ADD, "tides", 1)
        with suppress(ConnectionError), history.recording(f"client {number}", "unit", *effects) as answer:
            answer.results = await store.counted_unit("s", f"v{number}", "tides")

    await asyncio.gather(*map(count, range(9)))
    assert {each.outcome for each in history.operations} == {Outcome.OK, Outcome.UNKNOWN}
    whole = Observed(lists=store.lists, counters={"tides": 9})

    assert check(history.operations, Observed(lists=store.lists, counters=store.counters)).flaws == {Flaw.LOST}
    assert check(history.operations, whole).kept


def add(key: str | None, outcome: Outcome, *result: int) -> Operation:
    return Operation("one", "add", (Effect(Kind.ADD, "tides", 1),), 0, 9, outcome, result, key)


def test_an_addition_that_is_asked_for_again_with_its_key_counts_once() -> None:
    calls = [add("k", Outcome.UNKNOWN), add("k", Outcome.OK, 1), add("k", Outcome.OK, 1), add(None, Outcome.OK, 2)]

    assert check(calls, Observed(counters={"tides": 2})).kept
    assert check(calls, Observed(counters={"tides": 3})).flaws == {Flaw.DOUBLED}
    assert check(calls, Observed(counters={"tides": 1})).flaws == {Flaw.LOST}


def test_a_version_that_does_not_exist_was_never_read() -> None:
    looked = Operation("one", "look", (Effect(Kind.LOOK, "weather"),), 0, 9, Outcome.OK, ([2, None],))

    assert check([looked], Observed(documents={"weather": []})).flaws == {Flaw.PHANTOM}


def test_an_action_of_nobody_one_that_was_refused_and_one_that_waits_after_its_end_are_found() -> None:
    def queued(outcome: Outcome) -> Operation:
        return Operation("one", "enqueue", (Effect(Kind.ENQUEUE, "lane", "a"),), 0, 9, outcome)

    assert check([queued(Outcome.OK)], Observed(waiting={"lane": ["a", "b"]})).flaws == {Flaw.PHANTOM}
    assert check([queued(Outcome.FAILED)], Observed(waiting={"lane": ["a"]})).flaws == {Flaw.PHANTOM}
    assert check([queued(Outcome.OK)], Observed(waiting={"lane": ["a"]}, ended={"lane": ["a"]})).flaws == {Flaw.DOUBLED}
    assert check([], Observed(fenced={"market": [7]})).flaws == {Flaw.PHANTOM}
