"""The checks of histories find every known way to break a promise, and nothing where every promise is kept."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Final

import pytest

from livingworld.errors import Conflict
from livingworld.testing.history import (
    Effect,
    Flaw,
    History,
    Kind,
    Observed,
    Operation,
    Outcome,
    check,
    read_operations,
)
from tests.support import flawed_stores as flawed
from tests.support.flawed_stores import Store

STORIES: Final = ("causeway", "lighthouse")
KNOWN: Final[list[tuple[type[Store], Flaw]]] = [
    (flawed.NumbersByMaximum, Flaw.LOST),
    (flawed.RepeatsWithoutKey, Flaw.DOUBLED),
    (flawed.ConfirmsBeforeStoring, Flaw.LOST),
    (flawed.StoresInTwoSteps, Flaw.PARTIAL),
    (flawed.LastWriterWins, Flaw.LOST),
    (flawed.AddsWhatItRead, Flaw.LOST),
    (flawed.BelievesItsLease, Flaw.OVERLAP),
    (flawed.ClaimsWhatItRead, Flaw.DOUBLED),
    (flawed.ClaimsWhatItRead, Flaw.OVERLAP),
    (flawed.ServesTheNewestFirst, Flaw.WRONG_ORDER),
    (flawed.ReadsReplica, Flaw.STALE),
    (flawed.ReadsOneByOne, Flaw.NOT_SERIALISABLE),
    (flawed.LosesEvents, Flaw.GAP),
    (flawed.RefusesWhatItStored, Flaw.PHANTOM),
]


class Client:
    """Does one thing after the other with a store, and records it."""

    def __init__(self, store: Store, history: History, name: str) -> None:
        self.store, self.history, self.name = store, history, name
        self.number = 0

    def value(self) -> str:
        self.number += 1
        return f"{self.name} {self.number}"

    def story(self) -> str:
        return self.store.chance.choice(STORIES)

    async def append(self) -> None:
        story, value = self.story(), self.value()
        for _ in range(self.store.chance.choice((1, 1, 2))):  # an answer may be lost, and the request repeated
            effect = Effect(Kind.APPEND, story, value)
            with self.history.recording(self.name, "append", effect, request_key=value) as answer:
                answer.results = (await self.store.append(story, value, value),)

    async def begin(self) -> None:
        effect = Effect(Kind.APPEND, "new", self.value())
        with suppress(Conflict), self.history.recording(self.name, "begin", effect) as answer:
            answer.results = (await self.store.append_if_empty("new", str(effect.value)),)

    async def unit(self) -> None:
        story, value = self.story(), self.value()
        effects = Effect(Kind.APPEND, story, value), Effect(Kind.WRITE, f"{story} mood", value)
        with suppress(ConnectionError), self.history.recording(self.name, "unit", *effects) as answer:
            answer.results = await self.store.unit(story, f"{story} mood", value)

    async def read(self) -> None:
        story = self.story()
        with self.history.recording(self.name, "read", Effect(Kind.READ, story)) as answer:
            answer.results = (await self.store.read(story),)
        with self.history.recording(self.name, "last", Effect(Kind.LAST, story)) as answer:
            found = await self.store.read(story)
            answer.results = ([len(found), found[-1] if found else None],)

    async def read_all(self) -> None:
        effects = [Effect(Kind.READ, story) for story in STORIES]
        with self.history.recording(self.name, "read all", *effects) as answer:
            answer.results = tuple(await self.store.read_all(STORIES))

    async def write(self) -> None:
        with self.history.recording(self.name, "look", Effect(Kind.LOOK, "weather")) as answer:
            answer.results = (await self.store.look("weather"),)
        version, value = answer.results[0][0], self.value()
        effect = Effect(Kind.WRITE, "weather", value)
        with suppress(Conflict), self.history.recording(self.name, "write", effect) as answer:
            answer.results = (await self.store.write("weather", value, version),)

    async def add(self) -> None:
        with self.history.recording(self.name, "add", Effect(Kind.ADD, "tides", 1)) as answer:
            answer.results = (await self.store.add("tides"),)

    async def hold(self) -> None:
        with self.history.recording(self.name, "grant", Effect(Kind.GRANT, "market")) as answer:
            answer.results = (await self.store.grant("market"),)
        effect = Effect(Kind.FENCED, "market", answer.results[0])
        await self.store.pause()
        with suppress(Conflict), self.history.recording(self.name, "write under a lease", effect):
            await self.store.write_fenced("market", answer.results[0])

    async def enqueue(self) -> None:
        effect = Effect(Kind.ENQUEUE, "lane", self.value())
        with self.history.recording(self.name, "enqueue", effect):
            await self.store.enqueue("lane", str(effect.value))

    async def work(self) -> None:
        with self.history.recording(self.name, "claim") as answer:
            claimed = await self.store.claim("lane", self.name)
            answer.effects = (Effect(Kind.CLAIM, "lane", claimed),) if claimed else ()
        if claimed:
            await self.store.pause()
            with suppress(Conflict), self.history.recording(self.name, "end", Effect(Kind.END, "lane", claimed)):
                await self.store.end("lane", self.name, claimed)

    async def play(self, steps: int) -> None:
        deeds: list[Callable[[], Awaitable[None]]] = [
            self.append, self.begin, self.unit, self.read, self.read_all,
            self.write, self.add, self.hold, self.enqueue, self.work,
        ]  # fmt: skip
        for _ in range(steps):
            await self.store.chance.choice(deeds)()


async def follow(store: Store, history: History, done: asyncio.Event) -> None:
    """Receive the events of a story, until all clients have ended."""
    position = 0
    while not done.is_set():
        for number, value in await store.events_after("causeway", position):
            position = number
            with history.recording("follower", "receive", Effect(Kind.RECEIVE, "causeway", value)) as answer:
                answer.results = (number,)
        await asyncio.sleep(0)


async def played(kind: type[Store], seed: int) -> tuple[list[Operation], Observed]:
    """Return what eight clients did with a store, and what it then had stored."""
    store, history, done = kind(Random(seed)), History(), asyncio.Event()
    follower = asyncio.create_task(follow(store, history, done))
    await asyncio.gather(*(Client(store, history, f"client {number}").play(60) for number in range(8)))
    done.set()
    await follower
    waiting = {"lane": [*store.queued["lane"], *(value for _, value in store.running.values())]}
    parts = (store.lists, store.counters, store.documents, store.fenced, store.ended, waiting, store.lists)
    return history.operations, Observed(*parts)


@pytest.mark.any_server
@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_wrong_with_a_store_that_keeps_every_promise(seed: int) -> None:
    operations, observed = await played(Store, seed)

    verdict = check(operations, observed)
    assert verdict.operations > 400
    assert verdict.kept, verdict.anomalies
    assert {kind for each in operations for kind in (effect.kind for effect in each.effects)} == {*Kind} - {Kind.MISS}


@pytest.mark.any_server
@pytest.mark.parametrize(("kind", "flaw"), KNOWN, ids=lambda part: getattr(part, "__name__", str(part)))
async def test_every_known_flaw_is_found(kind: type[Store], flaw: Flaw) -> None:
    operations, observed = await played(kind, 1)

    verdict = check(operations, observed)
    assert flaw in verdict.flaws
    assert verdict.counts[flaw] >= 1


@pytest.mark.any_server
async def test_a_journal_has_what_a_killed_process_had_begun() -> None:
    journal = io.StringIO()
    history = History(journal=journal)
    with history.recording("one", "append", Effect(Kind.APPEND, "causeway", "a lantern")) as answer:
        answer.results = (1,)
    with history.recording("one", "append", Effect(Kind.APPEND, "causeway", "a knock")):
        at_the_kill = journal.getvalue()
    lines = [*at_the_kill.splitlines(keepends=True), '[2, {"client": "on']

    done, begun = read_operations(lines)
    assert done == history.operations[0]
    assert (begun.outcome, begun.ended, begun.effects) == (Outcome.UNKNOWN, math.inf, history.operations[1].effects)
    assert check([done, begun], Observed(lists={"causeway": ["a lantern"]})).kept
    assert read_operations(journal.getvalue().splitlines(keepends=True)) == history.operations


@pytest.mark.any_server
async def test_what_was_cut_off_may_have_happened_or_not() -> None:
    effect = Effect(Kind.APPEND, "causeway", "a lantern")
    cut = Operation("one", "append", (effect,), 1.0, 2.0, Outcome.UNKNOWN)

    assert check([cut], Observed(lists={"causeway": ["a lantern"]})).kept
    assert check([cut], Observed()).kept
    assert check([cut], Observed(lists={"causeway": ["a lantern"] * 2})).flaws == {Flaw.DOUBLED}
    assert check([replace(cut, outcome=Outcome.OK)], Observed()).flaws == {Flaw.LOST}
    assert check([replace(cut, outcome=Outcome.FAILED)], Observed(lists={"causeway": ["a lantern"]})).flaws == {
        Flaw.PHANTOM
    }


@pytest.mark.any_server
async def test_two_readers_that_see_two_writes_in_different_orders_are_no_serial_order() -> None:
    """Each read alone is possible; together they are a long fork. All are concurrent, so no read is stale."""

    def operation(client: str, *effects: Effect, results: tuple[object, ...]) -> Operation:
        return Operation(client, client, effects, 0.0, 9.0, Outcome.OK, results)

    history = [
        operation("writes x", Effect(Kind.APPEND, "x", "x1"), results=(1,)),
        operation("writes y", Effect(Kind.APPEND, "y", "y1"), results=(1,)),
        operation("sees x", Effect(Kind.READ, "x"), Effect(Kind.READ, "y"), results=(["x1"], [])),
        operation("sees y", Effect(Kind.READ, "x"), Effect(Kind.READ, "y"), results=([], ["y1"])),
    ]
    observed = Observed(lists={"x": ["x1"], "y": ["y1"]})

    assert check(history, observed).flaws == {Flaw.NOT_SERIALISABLE}
    assert check(history[:3], observed).kept


@pytest.mark.any_server
async def test_a_notice_explains_a_gap() -> None:
    def receive(kind: Kind, number: int, value: str | None) -> Operation:
        return Operation("f", "r", (Effect(kind, "s", value),), number, number, Outcome.OK, (number,))

    events = [receive(Kind.RECEIVE, 1, "a"), receive(Kind.RECEIVE, 3, "c")]
    observed = Observed(lists={"s": ["a", "b", "c"]}, streams={"s": ["a", "b", "c"]})
    asked = [Operation("w", value, (Effect(Kind.APPEND, "s", value),), 0.0, 9.0, Outcome.OK) for value in "abc"]

    assert check([*asked, *events], observed).flaws == {Flaw.GAP}
    assert check([*asked, events[0], receive(Kind.MISS, 2, None), events[1]], observed).kept
