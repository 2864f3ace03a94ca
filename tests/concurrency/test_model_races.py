"""Models of one role at one moment: every change holds the role's row, and a constraint keeps one active."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from livingworld import AIModel, LivingWorld, NewSample, World
from livingworld.errors import ActiveModelChanged
from livingworld.testing.staged_races import connected, until_blocked
from tests.support.model_staging import THE_ROLE, promoted, registered
from tests.support.staging import backend_of, deadlocks, elsewhere, kinds, race, same_world
from tests.support.turn_checks import rows

PROMOTE_NAIVELY = """
    WITH former AS (
        UPDATE livingworld.ai_models SET state = 'retired', retired_at = now()
        WHERE world_id = $1 AND role = 'narrator' AND state = 'active' RETURNING model_id
    )
    UPDATE livingworld.ai_models SET state = 'active', activation = 9, activated_at = now(),
        replaced_model_id = (SELECT model_id FROM former)
    WHERE world_id = $1 AND model_id = $2 RETURNING 1
"""


async def in_service(url: str) -> list[tuple[Any, ...]]:
    found = "SELECT name, activation FROM livingworld.ai_models WHERE state = 'active'"
    return await rows(url, found)


async def test_twelve_who_register_at_once_get_the_numbers_one_to_twelve(database_url: str, world: World) -> None:
    first = await world.ai_models.register("narrator", provider="house", name="a")
    async with same_world(database_url, world.id, pools=3) as worlds:
        calls = [worlds[n % 3].ai_models.register("narrator", provider="house", name=f"{n}") for n in range(11)]
        results = await race(database_url, THE_ROLE, [world.id, "narrator"], calls, blocked=11)

    versions = [model.version for model in [first, *results] if isinstance(model, AIModel)]
    assert sorted(versions) == list(range(1, 13))


async def test_the_first_two_of_a_role_register_at_once(database_url: str, world: World) -> None:
    hold_the_world = "SELECT FROM livingworld.worlds WHERE world_id = $1 FOR UPDATE"
    async with same_world(database_url, world.id, pools=2) as worlds:
        calls = [each.ai_models.register("narrator", provider="house", name="a") for each in worlds]
        results = await race(database_url, hold_the_world, [world.id], calls, blocked=2)

    assert sorted(model.version for model in results if isinstance(model, AIModel)) == [1, 2]


async def test_of_eight_promotions_at_once_each_retires_the_one_before(database_url: str, world: World) -> None:
    staged = [await registered(world, f"{number}") for number in range(8)]
    async with same_world(database_url, world.id, pools=4) as worlds:
        calls = [worlds[n % 4].ai_models.promote(model.id) for n, model in enumerate(staged)]
        results = await race(database_url, THE_ROLE, [world.id, "narrator"], calls, blocked=8)

    models = [result for result in results if isinstance(result, AIModel)]
    assert sorted(model.activation or 0 for model in models) == list(range(1, 9))
    last = max(models, key=lambda model: model.activation or 0)
    assert await in_service(database_url) == [(last.name, 8)]
    way_back = [(await world.ai_models.rollback("narrator")).version for _ in range(7)]
    by_activation = sorted(models, key=lambda model: model.activation or 0)
    assert way_back == [model.version for model in reversed(by_activation[:-1])]


@pytest.mark.parametrize("expected", [True, False])
async def test_of_two_promotions_that_name_the_one_they_replace_one_wins(
    database_url: str, world: World, *, expected: bool
) -> None:
    active = await promoted(world, "a")
    staged = [await registered(world, name) for name in "bc"]
    options = {"expected_activation": active.activation} if expected else {}
    async with same_world(database_url, world.id, pools=2) as worlds:
        calls = [each.ai_models.promote(model.id, **options) for each, model in zip(worlds, staged, strict=True)]
        results = await race(database_url, THE_ROLE, [world.id, "narrator"], calls, blocked=2)

    assert kinds(results) == (["AIModel", "ActiveModelChanged"] if expected else ["AIModel", "AIModel"])
    for error in results:
        if isinstance(error, ActiveModelChanged):
            assert (error.expected, error.actual) == (1, 2)
    assert len(await in_service(database_url)) == 1


async def test_of_four_promotions_of_one_model_one_changes_something(database_url: str, world: World) -> None:
    await promoted(world, "a")
    staged = await registered(world, "b")
    async with same_world(database_url, world.id, pools=4) as worlds:
        calls = [each.ai_models.promote(staged.id, expected_activation=1) for each in worlds]
        results = await race(database_url, THE_ROLE, [world.id, "narrator"], calls, blocked=4)

    assert kinds(results) == ["AIModel"] * 4
    assert await in_service(database_url) == [("b", 2)]


async def test_one_that_went_and_came_back_is_another_activation(world: World) -> None:
    active = await promoted(world, "a")
    await promoted(world, "b")
    assert (await world.ai_models.rollback("narrator")).id == active.id
    staged = await registered(world, "c")

    with pytest.raises(ActiveModelChanged):
        await world.ai_models.promote(staged.id, expected_activation=active.activation)


async def test_of_two_rollbacks_that_name_the_one_they_give_up_one_goes_back(database_url: str, world: World) -> None:
    for name in "abc":
        await promoted(world, name)
    async with same_world(database_url, world.id, pools=2) as worlds:
        calls = [each.ai_models.rollback("narrator", expected_activation=3) for each in worlds]
        results = await race(database_url, THE_ROLE, [world.id, "narrator"], calls, blocked=2)

    assert kinds(results) == ["AIModel", "ActiveModelChanged"]
    assert await in_service(database_url) == [("b", 4)]


async def test_who_promotes_past_the_lock_fails_at_the_constraint(database_url: str, world: World) -> None:
    staged = [await registered(world, name) for name in "bc"]

    async def promote(model: AIModel) -> str:
        async with connected(database_url) as connection:
            await connection.execute(PROMOTE_NAIVELY, world.id, model.id)
        return "promoted"

    hold_the_models = "SELECT FROM livingworld.ai_models WHERE world_id = $1 FOR UPDATE"
    calls = [promote(model) for model in staged]
    results = await race(database_url, hold_the_models, [world.id], calls, blocked=2)

    assert kinds(results) == ["UniqueViolationError", "str"]


@pytest.mark.parametrize("purge_first", [True, False])
async def test_a_purge_and_writes_of_models_in_any_order_never_deadlock(
    database_url: str, livingworld: LivingWorld, world: World, *, purge_first: bool
) -> None:
    await promoted(world, "a")
    staged = await registered(world, "b")
    async with same_world(database_url, world.id, pools=2) as worlds:
        calls: list[Coroutine[Any, Any, Any]] = [
            livingworld.worlds.purge(world.id),
            worlds[0].ai_models.promote(staged.id),
            worlds[1].ai_models.register("narrator", provider="house", name="c"),
        ]
        order = calls if purge_first else [*calls[1:], calls[0]]
        results = await race(database_url, THE_ROLE, [world.id, "narrator"], order, blocked=3)

    assert set(kinds(results)) <= {"AIModel", "NoneType", "ModelNotFound", "NothingToRollBack", "WorldNotFound"}
    assert await rows(database_url, "SELECT count(*) FROM livingworld.ai_models") == [(0,)]
    assert await deadlocks(database_url) == 0


@pytest.mark.parametrize("purge_first", [True, False])
async def test_a_purge_and_samples_in_any_order_never_deadlock(
    database_url: str, livingworld: LivingWorld, world: World, *, purge_first: bool
) -> None:
    model = await promoted(world, "a")
    hold_the_model = "SELECT FROM livingworld.ai_models WHERE world_id = $1 AND model_id = $2 FOR UPDATE"
    async with same_world(database_url, world.id, pools=2) as worlds:
        calls: list[Coroutine[Any, Any, Any]] = [
            livingworld.worlds.purge(world.id),
            *(
                each.ai_models.samples.add_many([NewSample(role="narrator", input=1, output=1, model=model)])
                for each in worlds
            ),
        ]
        order = calls if purge_first else [*calls[1:], calls[0]]
        results = await race(database_url, hold_the_model, [world.id, model.id], order, blocked=3)

    assert set(kinds(results)) <= {"tuple", "NoneType", "WorldNotFound"}
    assert await rows(database_url, "SELECT count(*) FROM livingworld.training_samples") == [(0,)]
    assert await deadlocks(database_url) == 0


async def test_a_purge_that_meets_a_sample_on_its_way_to_the_world_waits_for_it(
    database_url: str, livingworld: LivingWorld, world: World
) -> None:
    """The sample has its model and comes to need the world's row; the purge comes from the other side."""
    model = await promoted(world, "a")
    async with connected(database_url) as observer, elsewhere(world.transaction()) as tx:
        await tx.ai_models.samples.add_many([NewSample(role="narrator", input=1, output=1, model=model)])
        writer = await backend_of(tx)
        purge = asyncio.create_task(livingworld.worlds.purge(world.id))
        await until_blocked(observer, by=writer)
        await tx.characters.get_or_create("Mara")
    await purge

    assert await rows(database_url, "SELECT count(*) FROM livingworld.training_samples") == [(0,)]
    assert await deadlocks(database_url) == 0
