"""Models are loaded once for all who ask, probed before they serve, and closed when they do not answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from livingworld import World
from livingworld.errors import Closed, InvalidInput, ModelLoadFailed, ModelNotValidated, ModelProbeFailed, NoActiveModel
from tests.support.model_staging import (
    Handle,
    Loaders,
    answer,
    promoted,
    registered,
    until,
    until_served,
)

SOON = timedelta(milliseconds=50)


async def test_a_loaded_model_waits_for_its_promotion_and_is_not_loaded_again(world: World) -> None:
    loaders = Loaders()
    await promoted(world, "a")
    async with loaders.serve(world) as host:
        staged = await world.ai_models.register("narrator", provider="house", name="b")
        with pytest.raises(ModelNotValidated):
            await world.ai_models.promote(staged.id)
        assert await answer(host) == "a"
        assert (await host.load(staged.id)).validated_at is not None
        assert await answer(host) == "a"
        await world.ai_models.promote(staged.id)
        await until_served(host, "b")
        assert [handle.name for handle in loaders.handles] == ["a", "b"]
        async with host.pin("narrator") as pinned:
            assert (pinned.model.version, pinned.model.state, pinned.model.activation) == (2, "active", 2)


async def test_of_two_that_are_loaded_the_one_before_is_closed(world: World) -> None:
    loaders = Loaders()
    staged = [await registered(world, name) for name in "ab"]
    async with loaders.serve(world) as host:
        await asyncio.gather(*(host.load(staged[0].id) for _ in range(4)))
        await host.load(staged[1].id)
        await until(lambda: loaders.of("a").closed)
        assert loaders.closed == {"a": 1, "b": 0}


async def test_a_model_that_fails_its_probe_is_closed_and_changes_nothing(world: World) -> None:
    loaders = Loaders()
    loaders.unfit["b"] = ZeroDivisionError("no")
    loaders.broken["c"] = MemoryError("no")
    await promoted(world, "a")
    async with loaders.serve(world) as host:
        assert await answer(host) == "a"
        for name, error in (("b", ModelProbeFailed), ("c", ModelLoadFailed)):
            staged = await world.ai_models.register("narrator", provider="house", name=name)
            with pytest.raises(error) as caught:
                await host.load(staged.id)
            assert isinstance(caught.value.__cause__, ZeroDivisionError | MemoryError)
            assert (await world.ai_models.get(staged.id)).validated_at is None
        assert loaders.closed == {"a": 0, "b": 1}
        assert await answer(host) == "a"

    assert loaders.closed == {"a": 1, "b": 1}


async def test_first_pins_at_once_load_once_and_a_cancelled_one_harms_no_other(world: World) -> None:
    loaders = Loaders()
    loaders.may_load.clear()
    await promoted(world, "a")
    async with loaders.serve(world) as host:
        pins = [asyncio.create_task(answer(host)) for _ in range(8)]
        await loaders.loading.wait()
        for _ in range(20):  # a second loading would have begun by now
            await world.ai_models.all_active()
        for pin in pins[:3]:
            pin.cancel()
        loaders.may_load.set()
        answers = await asyncio.gather(*pins, return_exceptions=True)
        assert answers[3:] == ["a"] * 5
        assert loaders.begun == 1
        await promoted(world, "b")
        await until(lambda: loaders.of("a").closed)

    assert loaders.closed == {"a": 1, "b": 1}


async def test_a_first_load_that_fails_is_told_to_each_and_tried_anew_by_the_next(world: World) -> None:
    loaders = Loaders()
    with pytest.raises(NoActiveModel):
        async with loaders.serve(world) as host:
            await answer(host)
    await promoted(world, "a")
    loaders.broken["a"] = ZeroDivisionError("no")
    async with loaders.serve(world) as host:
        failed = await asyncio.gather(*(answer(host) for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in failed] == [ModelLoadFailed] * 3
        assert len({id(error) for error in failed}) == 3
        del loaders.broken["a"]
        assert await answer(host) == "a"


@pytest.mark.parametrize("step", ["loading", "probing"])
async def test_leaving_the_block_while_a_model_is_loaded_leaves_nothing_open(world: World, step: str) -> None:
    loaders = Loaders()
    await promoted(world, "a")
    stuck = asyncio.Event()

    async def probe(_handle: Handle, _model: object) -> None:
        stuck.set()
        await asyncio.Event().wait()

    if step == "loading":
        loaders.may_load.clear()
    async with world.ai_models.serving({"narrator": loaders.load}, probe=probe) as host:
        pin = asyncio.create_task(answer(host))
        await (loaders.loading if step == "loading" else stuck).wait()

    assert isinstance(*await asyncio.gather(pin, return_exceptions=True), Closed)
    assert set(loaders.closed.values()) <= {1}


async def test_a_loader_or_probe_that_hangs_is_given_up(world: World) -> None:
    loaders = Loaders()
    loaders.may_load.clear()
    await promoted(world, "a")
    async with loaders.serve(world, load_within=SOON) as host:
        with pytest.raises(ModelLoadFailed) as caught:
            await answer(host)

    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_bad_input_is_named(world: World) -> None:
    loaders = Loaders()
    unfit: list[tuple[Any, dict[str, Any]]] = [
        ({}, {"probe": loaders.probe}),
        ({"": loaders.load}, {"probe": loaders.probe}),
        ({"narrator": 1}, {"probe": loaders.probe}),
        ({"narrator": loaders.load}, {"probe": None}),
        ({"narrator": loaders.load}, {"probe": loaders.probe, "close": 1}),
        ({"narrator": loaders.load}, {"probe": loaders.probe, "close_within": 1}),
        ({"narrator": loaders.load}, {"probe": loaders.probe, "load_within": timedelta(0)}),
    ]
    for given, options in unfit:
        with pytest.raises(InvalidInput):
            async with world.ai_models.serving(given, **options):
                pass
    async with loaders.serve(world) as host:
        with pytest.raises(InvalidInput):
            await answer(host, "critic")
