"""The session is killed, or the connection cut, around each statement of a turn: one scene, the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene, Settings, Story, Turn, World
from livingworld.errors import Fenced, Unavailable
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy, cut
from livingworld.testing.staged_races import Connection
from tests.faults.turns_going_wrong import (
    CASES,
    KEY,
    QUICK,
    assert_told_once,
    assert_wholly_or_not,
    begin,
    play,
    settled,
)
from tests.support.killed_sessions import kill
from tests.support.patience import patiently
from tests.support.quiet import open_quietly
from tests.support.rotation import rotated
from tests.support.turn_checks import broken_turns, rows, until_found

#: A turn with state and its repetition have 17 to 19 on a quiet machine; on a busy one others come between them.
_STATEMENTS_AT_MOST = 40
#: Through a pooler each of them may be a transaction: BEGIN, limits, the statement and COMMIT.
_THROUGH_A_POOLER = 4 * _STATEMENTS_AT_MOST
#: A commit tries the first of the statements, and one of so many parts of the others.
_ROTATION = 2


@pytest_asyncio.fixture
async def livingworld(proxy: ProtocolProxy, no_patience: None, strict_loop: None) -> AsyncIterator[LivingWorld]:
    async with LivingWorld.open(Settings.load(database_url=proxy.url, **QUICK)) as opened:
        yield opened


@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("fault", ["killed", "cut"])
async def test_a_fault_at_any_statement_leaves_one_scene_and_the_same_answer(
    name: str,
    moment: Moment,
    fault: str,
    proxy: ProtocolProxy,
    livingworld: LivingWorld,
    observer: Connection,
    database_url: str,
) -> None:
    call, texts = CASES[name]
    pooled = Settings.load(database_url=proxy.url).behind_pooler
    at_most = _THROUGH_A_POOLER if pooled else _STATEMENTS_AT_MOST
    for nth in (1, *rotated(range(2, at_most), _ROTATION)):
        world, story = await begin(livingworld)
        met = proxy.at(moment, "", partial(kill, database_url) if fault == "killed" else cut, nth=nth)

        first = await call(world, story)

        again = await call(world, story)
        happened = met.happened.is_set()
        proxy.forget()
        assert (first.number, first.content) == (again.number, again.content)
        await assert_told_once(observer, database_url, world, story, texts)
        await settled(livingworld)
        await livingworld.worlds.purge(world.id)
        if not happened:
            assert nth > 3
            return
    pytest.fail("a turn has more statements than were tried")


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
async def test_a_commit_is_one_statement_also_with_new_characters(proxy: ProtocolProxy) -> None:
    # The lease is the usual one: a short one is renewed meanwhile on a slow machine, by a connection of its own.
    async with open_quietly(proxy.url) as patient:
        world, story = await begin(patient)
        await play(world, story)  # a new connection asks about types first
        async with world.turns.take(story.id, request_key="next") as turn:
            proxy.statements.clear()
            await turn.commit(NewScene("They meet.", cast=["Tom", "Eve"]))
            sent = [statement for statement in proxy.statements if "LISTEN" not in statement]

    assert len(sent) <= 4, sent
    assert all("commit_turn_v1" in statement for statement in sent), sent


async def test_a_renewal_that_gets_no_answer_is_a_lost_turn_and_ends_the_model(
    proxy: ProtocolProxy, world: World, story: Story
) -> None:
    working = asyncio.Event()

    cancelled = asyncio.Event()

    async def endless(_: Turn) -> NewScene:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    task = asyncio.create_task(world.turns.play(story.id, endless, request_key=KEY))
    await working.wait()
    proxy.flowing.clear()  # nothing passes and nobody is told
    async with patiently():
        await cancelled.wait()
    proxy.flowing.set()
    with pytest.raises(Fenced):
        await task


async def test_a_short_outage_does_not_lose_the_turn(
    proxy: ProtocolProxy, world: World, story: Story, observer: Connection, database_url: str
) -> None:
    async with world.turns.take(story.id, request_key=KEY) as turn:
        cuts = [proxy.at(Moment.BEFORE, "UPDATE livingworld.turn_leases", nth=nth) for nth in (1, 2)]
        for each in cuts:
            async with patiently():
                await each.happened.wait()
        first = await observer.fetchval("SELECT expires_at FROM livingworld.turn_leases")
        await until_found(database_url, "SELECT FROM livingworld.turn_leases WHERE expires_at > $1", first)
        assert not turn.lost.is_set()
        assert (await turn.commit(NewScene("Told."))).number == 1


async def test_leaving_a_turn_while_the_server_is_away_hides_nothing(
    proxy: ProtocolProxy, world: World, story: Story, database_url: str
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.turns.take(story.id, request_key=KEY):
            for nth in range(1, 8):
                proxy.at(Moment.BEFORE, "", cut, nth=nth)
            raise ZeroDivisionError
    proxy.forget()

    assert (await play(world, story)).number == 1
    assert await broken_turns(database_url, story.id) == []


async def test_what_a_turn_was_left_with_is_kept_as_a_failed_generation(
    world: World, story: Story, database_url: str
) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        async with world.turns.take(story.id, request_key=KEY) as turn:
            turn.describe(model="llama3", script_version="7", parameters={"temperature": 0.7}, prompt="Tell me.")
            await turn.record("no JSON at all", input_tokens=3, output_tokens=4)
            message = "no JSON"
            raise ValueError(message)
    with pytest.raises(ZeroDivisionError):
        async with world.turns.take(story.id, request_key=KEY):
            raise ZeroDivisionError
    async with world.turns.take(story.id, request_key=KEY) as turn:
        assert turn.recorded is None  # what was parsed in vain is not offered again
        scene = await turn.commit(NewScene("Told."))

    first, second, third = await world.generations.alternatives(story.id, scene.number)
    assert (first.attempt, first.state, first.model, first.raw_response) == (1, "failed", "llama3", "no JSON at all")
    assert (first.script_version, first.parameters, first.input_tokens, first.output_tokens) == (
        "7",
        {"temperature": 0.7},
        3,
        4,
    )
    assert first.prompt_digest is not None
    assert first.duration is not None
    assert first.error == "ValueError: no JSON"
    assert (second.attempt, second.state, second.error) == (2, "failed", "ZeroDivisionError: ")
    assert (third.attempt, third.state, third.scene_number) == (3, "complete", scene.number)
    assert await rows(database_url, "SELECT attempts FROM livingworld.turns") == [(3,)]


async def test_a_cancelled_turn_keeps_its_paid_answer_for_the_next_try(
    world: World, story: Story, livingworld: LivingWorld, observer: Connection, database_url: str
) -> None:
    answered = asyncio.Event()

    async def answer_and_hang(turn: Turn) -> NewScene:
        await turn.record("the paid answer")
        answered.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(world.turns.play(story.id, answer_and_hang, request_key=KEY))
    await answered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await assert_wholly_or_not(livingworld, observer, database_url, story, before=0)
    async with world.turns.take(story.id, request_key=KEY) as turn:
        assert turn.recorded is not None
        assert turn.recorded.raw_response == "the paid answer"
        await turn.commit(NewScene("Told.", raw_response=turn.recorded.raw_response))

    assert await world.stories.raw_response(story.id, 1) == "the paid answer"


async def test_an_answer_for_another_place_is_not_offered(world: World, story: Story) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with world.turns.take(story.id, request_key=KEY) as turn:
            await turn.record("an answer for the start")
            raise asyncio.CancelledError
    await world.stories.append_scene(story.id, NewScene("First."))
    async with world.turns.take(story.id, request_key=KEY) as turn:
        assert turn.recorded is None


async def test_when_everything_closes_turns_are_given_up(
    proxy: ProtocolProxy, story: Story, world: World, database_url: str
) -> None:
    began = asyncio.Event()

    async def hold(opened: LivingWorld) -> None:
        mine = await opened.worlds.get(world.id)
        async with mine.turns.take(story.id, request_key=KEY):
            began.set()
            await asyncio.Event().wait()

    async with LivingWorld.open(Settings.load(database_url=proxy.url, **QUICK)) as opened:
        task = asyncio.create_task(hold(opened))
        await began.wait()
        task.cancel()
        await asyncio.wait([task])

    assert await broken_turns(database_url, story.id) == []
    assert (await play(world, story)).number == 1


async def test_a_server_that_is_gone_for_good_is_told_as_it_is(
    proxy: ProtocolProxy, world: World, story: Story
) -> None:
    for nth in range(1, 20):
        proxy.at(Moment.BEFORE, "take_turn", cut, nth=nth)
    with pytest.raises(Unavailable):
        await play(world, story)
    proxy.forget()

    assert (await play(world, story)).number == 1
