from __future__ import annotations

import asyncio

import pytest

from livingworld import LivingWorld, NewScene, RunningAction, Story, World
from livingworld.errors import Busy
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.support.patience import patiently, until


async def test_turns_their_line_and_their_model_calls_are_counted(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    async with world.turns.take(story.id, request_key="first") as turn:
        waiting = asyncio.create_task(take(world, story))
        await until(lambda: livingworld.metrics().total("livingworld.turn.waiting") == 1, unless=waiting)
        assert livingworld.metrics().total("livingworld.turn.longest_line") == 1
        with pytest.raises(Busy):
            await take(world, story, key="third", busy="reject")
        turn.describe(model="narrator")
        await turn.record("A lantern.", input_tokens=100, output_tokens=7)
        async with turn.call("check", model="critic") as call:
            call.answer("good", output_tokens=1)
        await turn.commit(NewScene("A lantern."))
    async with patiently():
        await waiting
    seen = livingworld.metrics()

    requests = {each.attributes["outcome"]: each.value for each in seen.of("livingworld.turn.requests")}
    assert requests == {"granted": 2, "not granted": 1}
    assert seen.distribution("livingworld.turn.duration", {"outcome": "committed"}).count == 1
    assert seen.distribution("livingworld.turn.duration", {"outcome": "given up"}).count == 1
    assert seen.total("livingworld.conflicts", {"error.type": "Busy"}) == 1
    assert seen.total("livingworld.turn.waiting") == 0
    models = {each.attributes["gen_ai.request.model"] for each in seen.of("gen_ai.client.operation.duration")}
    assert models == {"narrator", "critic"}
    assert seen.distribution("gen_ai.client.token.usage", {"gen_ai.token.type": "input"}).sum == 100
    assert seen.distribution("gen_ai.client.token.usage", {"gen_ai.token.type": "output"}).sum == 8


async def take(world: World, story: Story, *, key: str = "second", busy: str = "queue") -> None:
    async with world.turns.take(story.id, request_key=key, busy=busy):  # type: ignore[arg-type]
        return


async def test_actions_and_embeddings_are_counted(livingworld: LivingWorld, world: World) -> None:
    async def handle(action: RunningAction) -> str:
        if action.action.payload:
            raise ValueError
        assert livingworld.metrics().total("livingworld.action.running") == 1
        return "done"

    worker = world.actions.worker({"walk": handle}, concurrency=1, retry_in=lambda _: None)
    await world.actions.enqueue("mara", "walk")
    await world.actions.enqueue("mara", "walk", {"fails": True})
    while await worker.run_once():
        pass
    embeddings = world.embeddings(HashingEmbedder())
    for _ in range(2):
        await embeddings.embed(["a lantern", "a tide"])
    seen = livingworld.metrics()

    outcomes = {each.attributes["outcome"] for each in seen.of("livingworld.action.duration", {"action.kind": "walk"})}
    assert outcomes == {"done", "failed"}
    assert seen.distribution("livingworld.action.wait_time").count == 2
    assert seen.total("livingworld.embedding.texts", {"outcome": "computed"}) == 2
    assert seen.total("livingworld.embedding.texts", {"outcome": "cached"}) == 2
    assert seen.distribution("gen_ai.client.operation.duration", {"gen_ai.operation.name": "embeddings"}).count == 1


async def test_live_events_and_services_are_counted(livingworld: LivingWorld, world: World, story: Story) -> None:
    async with world.live.subscribe(story=story.id) as subscription:
        assert livingworld.metrics().total("livingworld.live.subscriptions") == 1
        await world.stories.append_scene(story.id, NewScene("on"))
        async with patiently():
            await anext(subscription)
    async with livingworld.pruning():
        await until(lambda: livingworld.metrics().total("livingworld.service.rounds") > 0)
    seen = livingworld.metrics()

    assert seen.total("livingworld.live.events") == seen.distribution("livingworld.live.lag").count == 1
    assert seen.total("livingworld.live.subscriptions") == 0
    assert seen.total("livingworld.service.rounds", {"service": "pruning", "outcome": "idle"}) == 1
