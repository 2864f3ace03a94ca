"""A user of models is cancelled at every point where it waits: no use is left counted, and no model open."""

from __future__ import annotations

import asyncio

import pytest

from livingworld import LivingWorld, ModelHost, World
from livingworld.testing.staged_races import Connection
from tests.faults.cancelling import Persistence, cancelled_at
from tests.support.aftermath import assert_nothing_left
from tests.support.model_staging import Loaders, answer, promoted, registered, until

persistences = pytest.mark.parametrize("persistence", Persistence)


async def use_everything(world: World, loaders: Loaders) -> None:
    """Serve, load, promote, and answer twice."""
    async with loaders.serve(world) as host:
        staged = await world.ai_models.register("narrator", provider="house", name="b")
        await host.load(staged.id)
        await world.ai_models.promote(staged.id)
        await asyncio.gather(answer(host), answer(host))


@persistences
async def test_a_program_that_is_cancelled_anywhere_leaves_no_model_open(
    persistence: Persistence, world: World, livingworld: LivingWorld, observer: Connection
) -> None:
    await promoted(world, "a")
    loaders = Loaders()
    nth, waited = 1, True
    while waited:
        waited, _ = await cancelled_at(use_everything(world, loaders), nth, persistence)
        await until(lambda: all(handle.closed for handle in loaders.handles))
        nth += 1

    assert nth > 10
    assert {handle.closed for handle in loaders.handles} == {1}
    versions = [model.version for model in (await world.ai_models.list("narrator", limit=1000)).items]
    assert versions == list(range(len(versions), 0, -1))
    await assert_nothing_left(livingworld, observer)


@persistences
async def test_a_pin_that_is_cancelled_anywhere_is_not_counted_as_a_use(persistence: Persistence, world: World) -> None:
    loaders = Loaders()
    await promoted(world, "a")

    async def use(host: ModelHost) -> None:
        async with host.pin("narrator"):
            await asyncio.sleep(0)

    async with loaders.serve(world) as host:
        for _state in ("not loaded yet", "loaded"):
            nth, waited = 1, True
            while waited:
                waited, _ = await cancelled_at(use(host), nth, persistence)
                nth += 1
        current = host._slots["narrator"].current
        assert current is not None
        assert current._uses == 0
        await host.load((await registered(world, "b")).id)
        await promoted(world, "c")
        await until(lambda: loaders.of("a").closed)

    assert loaders.closed == {"a": 1, "b": 1, "c": 1}
