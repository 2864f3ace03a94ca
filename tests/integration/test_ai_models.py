"""The registry of AI models: versions of a role, one of them active, and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from livingworld import AIModel, LivingWorld, World
from livingworld.errors import (
    InvalidCursor,
    InvalidInput,
    ModelNotFound,
    ModelNotStaging,
    ModelNotValidated,
    NoActiveModel,
    NothingToRollBack,
)
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from tests.support.model_staging import promoted, registered
from tests.support.turn_checks import rows


def numbers(models: tuple[AIModel, ...]) -> list[tuple[int, str]]:
    return [(model.version, model.state) for model in models]


async def test_versions_of_a_role_count_from_one_and_are_listed_newest_first(world: World) -> None:
    first = await world.ai_models.register("narrator", provider="house", name="a", settings={"temperature": 0.7})
    await world.ai_models.register("narrator", provider="house", name="a")
    embedder = await world.ai_models.register("embedder", provider="house", name="e", dimensions=384)

    assert (first.version, first.state, first.validated_at, first.activation) == (1, "staging", None, None)
    assert (embedder.version, embedder.dimensions) == (1, 384)
    assert await world.ai_models.get(first.id) == first
    page = await world.ai_models.list("narrator", limit=1)
    rest = await world.ai_models.list("narrator", after=page.next)
    assert numbers(page.items + rest.items) == [(2, "staging"), (1, "staging")]
    assert rest.next is None
    assert (await world.ai_models.list("critic")).items == ()


async def test_a_promotion_retires_the_former_and_rollbacks_go_back_step_by_step(world: World) -> None:
    with recorded_events() as recorded:
        models = [await promoted(world, name) for name in "abc"]
        assert numbers((await world.ai_models.list("narrator")).items) == [
            (3, "active"),
            (2, "retired"),
            (1, "retired"),
        ]
        assert [model.activation for model in models] == [1, 2, 3]
        assert (await world.ai_models.active("narrator")) == models[2]
        assert (await world.ai_models.rollback("narrator")).name == "b"
        back = await world.ai_models.rollback("narrator")

    assert (back.id, back.activation, back.retired_at) == (models[0].id, 5, None)
    assert (await world.ai_models.all_active()).keys() == {"narrator"}
    with pytest.raises(NothingToRollBack):
        await world.ai_models.rollback("narrator")
    assert [fields["version"] for fields in recorded.of(events.MODEL_PROMOTED)] == [1, 2, 3]
    assert [fields["activation"] for fields in recorded.of(events.MODEL_ROLLED_BACK)] == [4, 5]


async def test_after_a_rollback_the_next_promotion_comes_back_to_where_it_began(world: World) -> None:
    for name in "ab":
        await promoted(world, name)
    await world.ai_models.rollback("narrator")
    await promoted(world, "c")

    assert (await world.ai_models.rollback("narrator")).name == "a"


async def test_a_rollback_that_cannot_be_changes_nothing_in_a_transaction_that_goes_on(world: World) -> None:
    only = await promoted(world, "a")
    async with world.transaction() as tx:
        with pytest.raises(NothingToRollBack):
            await tx.ai_models.rollback("narrator")

    assert await world.ai_models.active("narrator") == only


async def test_only_what_was_validated_in_staging_is_promoted(world: World) -> None:
    staged = await world.ai_models.register("narrator", provider="house", name="a")
    with pytest.raises(ModelNotValidated):
        await world.ai_models.promote(staged.id)
    await world.ai_models.mark_validated(staged.id)
    active = await world.ai_models.promote(staged.id)
    assert await world.ai_models.promote(staged.id, expected_activation=0) == active
    await promoted(world, "b")
    with pytest.raises(ModelNotStaging):
        await world.ai_models.promote(staged.id)


async def test_what_is_not_there_is_named(livingworld: LivingWorld, world: World) -> None:
    elsewhere = await registered(await livingworld.worlds.create("Fen"), "a")
    for call in (world.ai_models.get, world.ai_models.promote, world.ai_models.mark_validated):
        with pytest.raises(ModelNotFound):
            await call(elsewhere.id)
    with pytest.raises(NoActiveModel):
        await world.ai_models.active("narrator")
    with pytest.raises(NothingToRollBack):
        await world.ai_models.rollback("narrator")


async def test_bad_input_is_named_before_any_sql(world: World) -> None:
    unfit: list[dict[str, Any]] = [
        {"role": ""},
        {"role": "x" * 501},
        {"provider": "\x00"},
        {"name": 1},
        {"dimensions": 0},
        {"settings": {"temperature": float("nan")}},
        {"settings": {"api_key": "k"}},
        {"settings": {"http": [{"X-Api-Key": "k"}]}},
    ]
    for each in unfit:
        with pytest.raises(InvalidInput):
            await world.ai_models.register(**({"role": "narrator", "provider": "house", "name": "a"} | each))
    with pytest.raises(InvalidInput):
        await world.ai_models.promote("a")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        await world.ai_models.rollback("narrator", expected_activation=-1)
    with pytest.raises(InvalidCursor):
        await world.ai_models.list("narrator", after="x")
    assert (await world.ai_models.list("narrator")).items == ()


async def test_settings_that_only_sound_secret_are_stored(world: World) -> None:
    settings = {"max_tokens": 100, "stop_token": "###", "nested": {"keys": [1]}}
    model = await world.ai_models.register("narrator", provider="house", name="a", settings=settings)

    assert (await world.ai_models.get(model.id)).settings == settings


async def test_the_tables_refuse_two_active_ones_and_one_that_was_never_validated(
    database_url: str, world: World
) -> None:
    await promoted(world, "a")
    staged = await world.ai_models.register("narrator", provider="house", name="b")
    activate = """
        UPDATE livingworld.ai_models SET state = 'active', activation = 2, activated_at = now(), validated_at = {}
        WHERE model_id = $1 RETURNING 1
    """
    for validated_at, constraint in (("now()", "uq_ai_models_active"), ("NULL", "in_service_only_validated")):
        with pytest.raises(Exception, match=constraint):
            await rows(database_url, activate.format(validated_at), staged.id)


async def test_a_purged_world_leaves_no_model_and_no_sample(
    database_url: str, livingworld: LivingWorld, world: World
) -> None:
    await promoted(world, "a")
    await livingworld.worlds.purge(world.id)

    for table in ("ai_model_roles", "ai_models", "training_samples"):
        assert await rows(database_url, f"SELECT count(*) FROM livingworld.{table}") == [(0,)]  # noqa: S608
