"""The flows of the application that was ported: four players, double clicks, and nothing doubled or lost."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from examples.port.story_service import Extracted, PlainModel, StoryService, Written
from livingworld import LivingWorld, Scene, StaleHead, World


class CountingModel(PlainModel):
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def write(self, prompt: str) -> Written:
        self.prompts.append(prompt)
        return await super().write(prompt)


class FailingOnce(PlainModel):
    """Its first extraction fails."""

    failed = False

    async def extract(self, text: str) -> Extracted:
        if not self.failed:
            self.failed = True
            message = "the model is away"
            raise OSError(message)
        return await super().extract(text)


@pytest.fixture
def model() -> CountingModel:
    return CountingModel()


@pytest.fixture
def service(world: World, model: CountingModel) -> StoryService:
    return StoryService(world, model)


async def test_a_story_goes_on_by_instruction_and_choice_and_is_resumed_with_its_cast(
    livingworld: LivingWorld, world: World, service: StoryService, model: CountingModel
) -> None:
    story = await service.create("ada/slot-1", "The Causeway", "A lantern.")
    first = await service.instruct(story.id, "ada", "click-1", "begin at night")
    again = await service.instruct(story.id, "ada", "click-1", "begin at night")
    second = await service.choose(story.id, "ada", "click-2", choice=2, head=first.number)
    with pytest.raises(StaleHead):
        await service.choose(story.id, "ada", "click-3", choice=1, head=first.number)

    later = StoryService(await livingworld.worlds.get(world.id), PlainModel())
    resumed = await later.resume((await later.create("ada/slot-1", "another title", "")).id)
    (felt,) = resumed.relationships
    (attempt,) = (await world.turns.tree(story.id, "click-1")).attempts
    assert [(call.name, call.answer) for call in attempt.calls] == [("extract", "Mara, Tom")]
    assert again == first
    assert (resumed.story.title, resumed.head) == ("The Causeway", second.number)
    assert [scene.content.partition(".")[0] for scene in resumed.scenes] == ["begin at night", "Wait"]
    assert [character.name for character in resumed.cast] == ["Mara", "Tom"]
    assert felt.source == (await later.character("mara")).id
    assert felt.trust == pytest.approx(0.2)
    assert {memory.content for memory in resumed.memories} == {first.content, second.content}
    assert [hit.scene_number for hit in await later.search("begin night") if hit.kind == "scene"] == [1]
    assert len(model.prompts) == 2
    assert "(Mara trusts Tom: +0.1)" in model.prompts[1]


async def test_what_was_extracted_is_stored_with_its_scene_or_neither_is(world: World) -> None:
    service = StoryService(world, FailingOnce())
    story = await service.create("slot", "The Causeway", "")
    with pytest.raises(OSError, match="away"):
        await service.instruct(story.id, "ada", "click-1", "begin")
    assert (await service.resume(story.id)).scenes == ()

    await service.instruct(story.id, "ada", "click-1", "begin")
    assert [character.name for character in (await service.resume(story.id)).cast] == ["Mara", "Tom"]


async def test_four_players_with_double_clicks_double_no_scene_and_no_story(
    world: World, service: StoryService, model: CountingModel
) -> None:
    chance = Random(7)

    async def play(player: str) -> list[Scene]:
        story = await service.create("shared", "The Causeway", "")
        clicks = [
            service.instruct(story.id, player, f"{player} {number}", f"{player} asks for {number}")
            for number in range(12)
            for _ in range(1 + (chance.random() < 0.3))
        ]
        return await asyncio.gather(*clicks)

    played = await asyncio.gather(*(play(player) for player in ("ada", "bo", "cy", "di")))
    (story,) = (await service.stories()).items

    assert sorted({scene.number for scenes in played for scene in scenes}) == list(range(1, 49))
    assert (story.scene_count, len(model.prompts)) == (48, 48)
