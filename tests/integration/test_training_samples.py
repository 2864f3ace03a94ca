"""Training samples in batches: one statement, one result for each, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest

from livingworld import LivingWorld, NewSample, World
from livingworld.errors import InvalidCursor, InvalidInput, ModelNotFound
from livingworld.identifiers import new_id
from tests.support.aftermath import engine_of
from tests.support.model_staging import promoted, registered
from tests.support.sent_statements import sent_statements


async def test_samples_come_back_as_they_were_with_the_version_that_answered(world: World) -> None:
    await promoted(world, "a")
    model = await promoted(world, "b")
    given = [
        NewSample(role="narrator", input="Who?", output={"text": "Mara"}, model=model, metadata={"rating": 1}),
        NewSample(role="narrator", input=[None, 1.5], output=None),
    ]
    results = await world.ai_models.samples.add_many(given)
    page = await world.ai_models.samples.list("narrator", limit=1)
    rest = await world.ai_models.samples.list("narrator", after=page.next)

    assert [result.stored for result in results] == [True, True]
    stored = page.items + rest.items
    assert {sample.id for sample in stored} == {result.id for result in results}
    by_id = {sample.id: sample for sample in stored}
    first, second = (by_id[result.id] for result in results)
    assert (first.model_id, first.model_version, first.input, first.output) == (model.id, 2, "Who?", {"text": "Mara"})
    assert first.metadata == {"rating": 1}
    assert (second.model_id, second.model_version, second.input, second.output) == (None, None, [None, 1.5], None)
    assert (await world.ai_models.samples.list("narrator", model_version=2)).items == (first,)
    assert (await world.ai_models.samples.list("critic")).items == ()


async def test_one_whose_model_is_unknown_fails_alone(livingworld: LivingWorld, world: World) -> None:
    model = await promoted(world, "a")
    elsewhere = await registered(await livingworld.worlds.create("Fen"), "a")
    models = [model, elsewhere, None, model]
    given = [NewSample(role="narrator", input=n, output=n, model=each) for n, each in enumerate(models)]
    results = await world.ai_models.samples.add_many(given)

    assert [result.stored for result in results] == [True, False, True, True]
    assert isinstance(results[1].error, ModelNotFound)
    stored = (await world.ai_models.samples.list("narrator")).items
    assert sorted(sample.input for sample in stored) == [0, 2, 3]


async def test_the_same_batch_again_stores_nothing_twice(world: World) -> None:
    given = [NewSample(role="narrator", input=n, output=n, id=new_id()) for n in range(3)]
    first = await world.ai_models.samples.add_many(given)
    again = await world.ai_models.samples.add_many([*given, *given])

    assert again == (*first, *first)
    assert len((await world.ai_models.samples.list("narrator")).items) == 3


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
async def test_a_thousand_samples_are_one_statement(
    livingworld: LivingWorld, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sent_statements(monkeypatch, engine_of(livingworld))
    results = await world.ai_models.samples.add_many([NewSample(role="x", input=n, output=n) for n in range(1000)])

    assert len(sent) == 1
    assert all(result.stored for result in results)
    assert await world.ai_models.samples.add_many([]) == ()
    assert len(sent) == 1


async def test_a_bad_sample_is_named_and_nothing_is_stored(world: World) -> None:
    model = await promoted(world, "a")
    unfit: list[dict[str, Any]] = [
        {"role": ""},
        {"input": object()},
        {"output": float("nan")},
        {"output": "\x00"},
        {"metadata": [1]},
        {"model": "a"},
        {"model": model, "role": "critic"},
        {"id": "a"},
    ]
    good: dict[str, Any] = {"role": "narrator", "input": 1, "output": 1}
    for each in unfit:
        with pytest.raises(InvalidInput) as caught:
            await world.ai_models.samples.add_many([NewSample(**good), NewSample(**good | each)])
        assert caught.value.field.startswith("samples[1].")
    with pytest.raises(InvalidInput):
        await world.ai_models.samples.add_many([{}])  # type: ignore[list-item]
    with pytest.raises(InvalidInput):
        await world.ai_models.samples.add_many([NewSample(**good)] * 1001)
    with pytest.raises(InvalidCursor):
        await world.ai_models.samples.list("narrator", after="x")
    assert (await world.ai_models.samples.list("narrator")).items == ()
