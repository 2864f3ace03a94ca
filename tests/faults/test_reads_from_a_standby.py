"""Reads that say `at_least` come from the standby when it is as new, and never show less."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest

from livingworld import Scene
from livingworld.story.worlds.isolation import isolate
from tests.faults.replication import Pair, Told, replicated, told
from tests.support.patience import PATIENCE, patiently, until

pytestmark = pytest.mark.xdist_group("reads from a standby")  # what they share is made once

#: A pooler in transaction mode is used in other ways, and row-level security has each statement say its world.
WAYS: Final[dict[str, dict[str, Any]]] = {
    "direct": {},
    "as behind a pooler": {"behind_pooler": True},
    "limits by transaction": {"limits": "transaction"},
    "row security": {"row_security": True},
}

_HOLD: Final = "SELECT pg_wal_replay_pause()"
_GO_ON: Final = "SELECT pg_wal_replay_resume()"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with replicated() as both:
        yield both


async def test_a_read_that_does_not_ask_for_it_comes_from_the_primary(pair: Pair) -> None:
    async with told(pair.settings()) as at:
        with pair.held_back():
            scene = await at.tell()
            assert await at.world.stories.recent(at.story.id, 1) == (scene,)
        async with at.world.transaction() as tx:
            assert await tx.stories.recent(at.story.id, 1, at_least=scene) == (scene,)
        assert at.reads() == {}


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_seen_is_read_from_the_standby_when_it_has_it(pair: Pair, way: str) -> None:
    if way == "row security":
        await isolate(pair.primary.url(), on=True, lock_timeout=PATIENCE)
    try:
        async with told(pair.settings(**WAYS[way])) as at:
            scene = await at.tell()
            for seen in (scene, scene.number, await at.world.token()):
                assert await at.world.stories.recent(at.story.id, 1, at_least=seen) == (scene,)
            assert at.reads() == {"standby": 3}
            # The other world has no such story, and only its own is shown.
            other = await at.livingworld.worlds.create("Elsewhere")
            assert (await other.search.find("meet", at_least=await other.token())).items == ()
    finally:
        if way == "row security":
            await isolate(pair.primary.url(), on=False, lock_timeout=PATIENCE)


async def test_what_was_seen_is_read_from_the_primary_while_the_standby_lacks_it(pair: Pair) -> None:
    async with told(pair.settings(replica_wait=timedelta(seconds=1))) as at:
        await at.used()
        with pair.held_back():
            scene = await at.tell()
            edited = await at.world.stories.edit_scene(at.story.id, 1, expected_version=1, content="Thick fog.")
            for seen, newest in ((scene, scene), (await at.world.token(), scene), (edited, scene)):
                assert await at.world.stories.recent(at.story.id, 1, at_least=seen) == (newest,)
            assert await at.world.stories.recent(at.story.id, 1, at_least=at.first) == (at.first,)
        found = at.reads()
        assert found["behind"] == len(("scene", "token", "edited"))


async def test_a_read_waits_for_the_standby_and_goes_on_there(pair: Pair) -> None:
    async with told(pair.settings()) as at, patiently():
        with pair.held_back():
            scene = await at.tell()
            seen = (scene, scene.number, await at.world.token())
            reads = [asyncio.create_task(at.world.stories.recent(at.story.id, 1, at_least=each)) for each in seen]
            await until(lambda: at.looks() > len(reads))  # some of them looked again
            assert not any(read.done() for read in reads)
            pair.go_on()
            assert await asyncio.gather(*reads) == [(scene,)] * 3
        assert at.reads() == {"standby": 3}


async def test_no_reader_ever_sees_less_than_it_asks_for(pair: Pair) -> None:
    newest: list[Scene] = []
    over = asyncio.Event()

    async def write(at: Told) -> None:
        while not over.is_set():
            scene = await at.tell()
            newest.append(scene)

    async def read(at: Told, reader: int) -> None:
        while not over.is_set():
            seen = max(newest, key=lambda scene: scene.number, default=at.first)
            asked: Scene | str | int = (seen, seen.number, await at.world.token())[reader % 3]
            (found,) = await at.world.stories.recent(at.story.id, 1, at_least=asked)
            assert found.number >= seen.number

    settings = pair.settings(replica_wait=timedelta(milliseconds=300), replica_pause=timedelta(milliseconds=10))
    try:
        async with told(settings) as at, patiently(), asyncio.TaskGroup() as group:
            for reader in range(8):
                group.create_task(read(at, reader))
            for _ in range(4):
                group.create_task(write(at))
            await _go_and_hold(pair, at)
            over.set()
    finally:
        pair.go_on()


async def _go_and_hold(pair: Pair, at: Told) -> None:
    """Hold the standby back and let it go on, twice, until many reads have met it so."""
    for statement, answered in (_HOLD, "behind"), (_GO_ON, "standby"), (_HOLD, "behind"), (_GO_ON, "standby"):
        before = at.reads().get(answered, 0)
        await asyncio.to_thread(pair.standby.ask, statement)
        await until(partial(_has_more, at, answered, before + 20))


def _has_more(at: Told, answered: str, number: float) -> bool:
    return at.reads().get(answered, 0) > number


async def test_an_error_that_only_the_standby_has_reaches_nobody(pair: Pair) -> None:
    async with told(pair.settings()) as at:
        with pair.held_back():
            story = await at.world.stories.create("Unknown there")
            assert (await at.world.stories.head(story.id, at_least=0)).story == story
            assert await at.world.stories.recent(at.story.id, 1, at_least=0) == (at.first,)
        assert at.reads() == {"error": 1, "standby": 1}


async def test_a_position_or_a_scene_of_another_history_is_not_taken_for_its_own(pair: Pair) -> None:
    async with told(pair.settings(replica_wait=timedelta(seconds=1))) as at:
        await at.used()
        assert await at.world.stories.recent(at.story.id, 1, at_least="2/0/0") == (at.first,)
        lost = replace(at.first, created_at=at.first.created_at - timedelta(minutes=1))
        assert await at.world.stories.recent(at.story.id, 1, at_least=lost) == (at.first,)
        found = at.reads()
        assert (found["other timeline"], found["behind"]) == (1, 1)


READS: Final[dict[str, Callable[[Told, Any], Awaitable[object]]]] = {
    "stories.get": lambda at, new: at.world.stories.get(at.story.id, at_least=new),
    "stories.head": lambda at, new: at.world.stories.head(at.story.id, at_least=new),
    "stories.list": lambda at, new: at.world.stories.list(at_least=new),
    "stories.scene": lambda at, new: at.world.stories.scene(at.story.id, 1, at_least=new),
    "stories.scenes": lambda at, new: at.world.stories.scenes(at.story.id, at_least=new),
    "stories.recent": lambda at, new: at.world.stories.recent(at.story.id, 3, at_least=new),
    "branches.tree": lambda at, new: at.world.branches.tree(at.story.id, at_least=new),
    "facts.get": lambda at, new: at.world.facts.get(at.story.id, "Ada", "mood", at_least=new),
    "facts.all": lambda at, new: at.world.facts.all(at.story.id, as_of=1, at_least=new),
    "facts.history": lambda at, new: at.world.facts.history(at.story.id, "Ada", "mood", at_least=new),
    "relationships.between": lambda at, new: at.world.relationships.between(at.story.id, "Ada", "Bo", at_least=new),
    "relationships.of": lambda at, new: at.world.relationships.of(at.story.id, "Ada", at_least=new),
    "relationships.graph": lambda at, new: at.world.relationships.graph(at.story.id, at_least=new),
    "relationships.ledger": lambda at, new: at.world.relationships.ledger(at.story.id, "Ada", "Bo", at_least=new),
    "memories.recall": lambda at, new: at.world.memories.recall(at.story.id, "fog", at_least=new),
    "memories.recent": lambda at, new: at.world.memories.recent(at.story.id, at_least=new),
    "search.find": lambda at, new: at.world.search.find("fog", at_least=new),
}


async def test_every_such_read_gives_the_same_on_both_servers(pair: Pair) -> None:
    async with told(pair.settings(index_words=False)) as at:
        await at.furnish()
        token = await at.world.token()
        for name, read in READS.items():
            assert await read(at, token) == await read(at, None), name
        assert at.reads() == {"standby": len(READS)}
        named = {f"{room}.{name}" for room, name in at.calls_with("at_least")}
        assert named == READS.keys()
