from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid5

import pytest

from livingworld import AIModel, LivingWorld, NewSample, World
from livingworld.testing.staged_races import connected
from tests.query_plans.large_world import analyze
from tests.query_plans.logged_plans import planned, rows_read
from tests.support.model_staging import promoted, registered

#: So many versions of so many roles, each with one active, and so many samples of each.
FILL_MODELS = """
    WITH roles AS (
        INSERT INTO livingworld.ai_model_roles (world_id, role, last_version, activations)
        SELECT $1, 'role ' || n, 200, 200 FROM generate_series(1, 5) AS n RETURNING role
    )
    INSERT INTO livingworld.ai_models (world_id, model_id, role, version, provider, name, state, validated_at,
        activation, activated_at, retired_at)
    SELECT $1, gen_random_uuid(), role, n, 'house', 'm', CASE n WHEN 200 THEN 'active' ELSE 'retired' END, now(),
        n, now(), CASE n WHEN 200 THEN NULL ELSE now() END
    FROM roles, generate_series(1, 200) AS n
"""
FILL_SAMPLES = """
    INSERT INTO livingworld.training_samples (world_id, sample_id, role, input, output)
    SELECT $1, gen_random_uuid(), 'role ' || n % 5, '1', '1' FROM generate_series(1, 5000) AS n
"""


def calls(model: AIModel) -> dict[str, Callable[[World], Awaitable[object]]]:
    batch = [
        NewSample(role="narrator", input=n, output=n, model=model, id=uuid5(UUID(int=0), f"{n}")) for n in range(9)
    ]
    return {
        "get": lambda world: world.ai_models.get(model.id),
        "active": lambda world: world.ai_models.active("narrator"),
        "list": lambda world: world.ai_models.list("role 1", after="190", limit=20),
        "mark_validated": lambda world: world.ai_models.mark_validated(model.id),
        "add_many": lambda world: world.ai_models.samples.add_many(batch),
        "samples": lambda world: world.ai_models.samples.list("role 1", limit=20),
    }


@pytest.mark.parametrize("statistics_of", ["nothing", "everything"])
async def test_no_call_reads_more_than_it_returns(database_url: str, world: World, statistics_of: str) -> None:
    await promoted(world, "a")
    model = await registered(world, "b")
    async with LivingWorld.open(database_url=database_url) as livingworld, connected(database_url) as connection:
        for each in (world, await livingworld.worlds.create("another")):
            await connection.execute(FILL_MODELS, each.id)
            await connection.execute(FILL_SAMPLES, each.id)
    if statistics_of == "everything":
        await analyze(database_url)

    wasteful = []
    async with planned(database_url, world.id) as (opened, logged):
        for name, call in calls(model).items():
            for _ in range(8):  # the first runs have plans of their own, the later ones the plan that is kept
                logged.plans.clear()
                await call(opened)
            assert logged.plans, name
            wasteful += [
                (name, node["Node Type"], node.get("Index Cond"), rows_read(node))
                for node in logged.nodes()
                if node["Node Type"] == "Seq Scan" or rows_read(node) > 25
            ]

    assert wasteful == []
