"""A model is swapped while it is used: no user meets a closed one, and each is closed exactly once."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import pytest

from livingworld import World
from livingworld.errors import Closed, ModelClosed
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from tests.support.model_staging import (
    Handle,
    Loaders,
    answer,
    promoted,
    registered,
    until,
    until_served,
)
from tests.support.patience import patiently
from tests.support.staging import same_world

SOON = timedelta(milliseconds=50)


async def test_inferences_in_flight_end_on_the_old_model_which_is_closed_once_after_the_last(world: World) -> None:
    loaders = Loaders()
    await promoted(world, "a")
    async with loaders.serve(world) as host:
        assert await answer(host) == "a"
        old = loaders.of("a")
        old.answering = 0
        old.may_answer.clear()
        in_flight = [asyncio.create_task(answer(host)) for _ in range(3)]
        await until(lambda: old.answering == 3)
        await promoted(world, "b")
        await until_served(host, "b")
        in_flight[0].cancel()
        in_flight.append(asyncio.create_task(answer(host)))
        assert host.pins()["narrator"][1] == 3
        assert await in_flight[-1] == "b"
        assert host.pins()["narrator"] == {1: 2}
        assert old.closed == 0
        old.may_answer.set()
        answers = await asyncio.gather(*in_flight, return_exceptions=True)
        assert answers[1:] == ["a", "a", "b"]
        assert isinstance(answers[0], asyncio.CancelledError)
        await until(lambda: old.closed)
        assert loaders.closed == {"a": 1, "b": 0}
        assert host.answers()["narrator"][1] == 3

    assert loaders.closed == {"a": 1, "b": 1}


async def test_a_promoted_model_that_fails_here_leaves_the_former_in_service_and_is_tried_again(world: World) -> None:
    loaders = Loaders()
    loaders.unfit["b"] = ZeroDivisionError("no")
    await promoted(world, "a")
    with recorded_events() as recorded:
        async with loaders.serve(world) as host:
            assert await answer(host) == "a"
            await promoted(world, "b")
            await until(lambda: len(recorded.of(events.MODEL_NOT_LOADED)) >= 2)
            assert await answer(host) == "a"
            del loaders.unfit["b"]
            await until_served(host, "b")

    assert recorded.of(events.MODEL_NOT_LOADED)[0]["error"] == "ZeroDivisionError"
    assert {handle.closed for handle in loaders.handles} == {1}


async def test_one_that_fails_does_not_hold_up_the_next(world: World) -> None:
    loaders = Loaders()
    loaders.unfit["b"] = ZeroDivisionError("no")
    await promoted(world, "a")
    with recorded_events() as recorded:
        async with loaders.serve(world) as host:
            assert await answer(host) == "a"
            await promoted(world, "b")
            await until(lambda: recorded.of(events.MODEL_NOT_LOADED))
            host._slots["narrator"].next_try = math.inf
            await promoted(world, "c")
            await until_served(host, "c")


async def test_a_user_that_does_not_end_in_time_loses_the_model(world: World) -> None:
    loaders = Loaders()
    await promoted(world, "a")
    with recorded_events() as recorded:
        async with loaders.serve(world, close_within=SOON) as host, host.pin("narrator") as pinned:
            assert isinstance(pinned.handle, Handle)
            await promoted(world, "b")
            async with patiently():
                await pinned.closing.wait()
                await until_served(host, "b")
                await until(lambda: loaders.of("a").closed)
            with pytest.raises(ModelClosed):
                _ = pinned.handle

    assert [fields["uses"] for fields in recorded.of(events.MODEL_CLOSED_IN_USE)] == [1]
    assert loaders.closed == {"a": 1, "b": 1}


async def test_leaving_the_block_closes_what_is_used_after_the_time_and_refuses_new_pins(world: World) -> None:
    loaders = Loaders()
    await promoted(world, "a")
    async with loaders.serve(world, close_within=SOON) as host:
        outer = host.pin("narrator")
        pinned = await outer.__aenter__()

    assert loaders.closed == {"a": 1}
    with pytest.raises(ModelClosed):
        _ = pinned.handle
    await outer.__aexit__(None, None, None)
    with pytest.raises(Closed):
        await answer(host)
    assert loaders.closed == {"a": 1}


async def test_a_close_that_fails_is_told_and_not_tried_again(world: World) -> None:
    calls = []

    async def close(handle: Handle) -> None:
        calls.append(handle.name)
        raise ZeroDivisionError

    loaders = Loaders()
    await promoted(world, "a")
    with recorded_events() as recorded:
        async with loaders.serve(world, close=close) as host:
            await answer(host)

    assert calls == ["a"]
    assert [fields["error"] for fields in recorded.of(events.MODEL_CLOSE_FAILED)] == ["ZeroDivisionError"]


async def test_a_change_without_a_notification_is_found_by_polling_and_a_rollback_too(
    database_url: str, world: World
) -> None:
    deaf = {"behind_pooler": True, "poll_interval": 0.05}  # no connection of its own listens
    loaders = Loaders()
    await promoted(world, "a")
    async with same_world(database_url, world.id, pools=1, **deaf) as (here,), loaders.serve(here) as host:
        assert await answer(host) == "a"
        await promoted(world, "b")
        await until_served(host, "b")
        await world.ai_models.rollback("narrator")
        await until_served(host, "a")

    assert [handle.name for handle in loaders.handles] == ["a", "b", "a"]
    assert {handle.closed for handle in loaders.handles} == {1}


async def test_a_swap_of_one_role_leaves_the_other_alone(world: World) -> None:
    loaders = Loaders()
    await promoted(world, "a")
    await promoted(world, "e", "embedder")
    async with loaders.serve(world) as host:
        async with host.pin("embedder") as embedder, host.pin("narrator") as narrator:
            await promoted(world, "b")
            await until(narrator.closing.is_set)
            assert not embedder.closing.is_set()
        assert await answer(host, "embedder") == "e"
        assert host.answers() == {"narrator": {1: 1}, "embedder": {1: 2}}


async def test_one_that_went_and_came_back_between_two_looks_stays_loaded(world: World) -> None:
    loaders = Loaders()
    await promoted(world, "a")
    async with loaders.serve(world) as host:
        assert await answer(host) == "a"
        staged = await registered(world, "b")
        async with world.transaction() as tx:
            await tx.ai_models.promote(staged.id)
            await tx.ai_models.rollback("narrator")
        current = host._slots["narrator"].current
        assert current is not None
        await until(lambda: current.model.activation == 3)
        assert await answer(host) == "a"
        assert host._slots["narrator"].current is current

    assert loaders.closed == {"a": 1}
