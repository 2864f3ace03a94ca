"""A story generator's service layer, ported from 6,000 lines on an ORM: what is left is the application's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from livingworld import (
    Character,
    LivingWorld,
    Memory,
    NewMemory,
    NewScene,
    NewState,
    Page,
    Relationship,
    RelationshipChange,
    Scene,
    SearchHit,
    Story,
    Turn,
    TurnContext,
    World,
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a model has written: the text, and what the player may do next."""

    text: str
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a model has found in a scene: who appears, what they feel, and what they will remember."""

    cast: Sequence[str] = ()
    feelings: Sequence[RelationshipChange] = ()
    memories: Sequence[NewMemory] = ()


class LanguageModel(Protocol):
    """The two calls of a model that a turn makes."""

    name: str

    async def write(self, prompt: str) -> Written:
        """Return the next scene."""
        ...

    async def extract(self, text: str) -> Extracted:
        """Return who appears in a scene, and what follows from it."""
        ...


@dataclass(frozen=True, slots=True)
class Resumed:
    """All that a player needs to go on where she stopped."""

    story: Story
    scenes: tuple[Scene, ...]
    cast: tuple[Character, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    memories: tuple[Memory, ...] = ()
    #: The number to send with the next request.
    head: int = field(default=0, kw_only=True)


class StoryService:
    """What the routes of the application call; `request` is the id that its client gives to each click."""

    def __init__(self, world: World, model: LanguageModel) -> None:
        self._world = world
        self._model = model

    async def create(self, slot: str, title: str, premise: str) -> Story:
        """Return the story of a save slot, and begin it where there is none."""
        story, _ = await self._world.stories.get_or_create(slot, title=title, premise=premise)
        return story

    async def stories(self, after: str | None = None) -> Page[Story]:
        """Return a page of the stories."""
        return await self._world.stories.list(after=after, limit=20)

    async def choose(self, story_id: UUID, player: str, request: str, *, choice: int, head: int) -> Scene:
        """Go on by a choice of the scene that the player sees; raises StaleHead when the story has moved on."""
        return await self._world.turns.play(
            story_id, self._write, request_key=request, player=player, choice=choice, expected_head=head
        )

    async def instruct(self, story_id: UUID, player: str, request: str, instruction: str) -> Scene:
        """Go on by an instruction; where others play, it waits for its turn."""
        return await self._world.turns.play(
            story_id, self._write, request_key=request, player=player, instruction=instruction, busy="queue"
        )

    async def resume(self, story_id: UUID) -> Resumed:
        """Return where a story stands: its last scenes, and who is in the last one with all that they feel and know."""
        place = await self._world.stories.head(story_id)
        if place.scene is None:
            return Resumed(place.story, ())
        at = place.scene.number
        scenes, relationships, memories = await asyncio.gather(
            self._world.stories.recent(story_id, 10),
            self._world.relationships.graph(story_id, as_of=at),
            self._world.memories.recent(story_id, k=20, as_of=at),
        )
        cast = await asyncio.gather(*(self.character(member.id) for member in place.scene.cast))
        return Resumed(place.story, scenes, tuple(cast), relationships, memories, head=at)

    async def search(self, words: str) -> Sequence[SearchHit]:
        """Return where words stand in scenes and memories."""
        return (await self._world.search.find(words, kinds=["scene", "memory"], limit=10)).items

    async def character(self, who: UUID | str) -> Character:
        """Return a character by id or by any of her names."""
        if isinstance(who, UUID):
            return await self._world.characters.get(who)
        character, _ = await self._world.characters.get_or_create(who)
        return character

    async def _write(self, turn: Turn) -> tuple[NewScene, NewState]:
        """Have the scene written, then its cast and all else extracted; both are stored together."""
        prompt = make_prompt(turn.context)
        turn.describe(model=self._model.name, prompt=prompt)
        written = await self._model.write(prompt)
        await turn.record(written.text)  # paid for: kept, whatever happens from here on
        async with turn.call("extract", model=self._model.name, prompt={"scene": written.text}) as call:
            found = await self._model.extract(written.text)
            call.answer(", ".join(found.cast))
        scene = NewScene(written.text, choices=written.choices, cast=found.cast)
        return scene, NewState(relationships=found.feelings, memories=found.memories)


def make_prompt(context: TurnContext) -> str:
    """Return the prompt for the next scene; nothing but the context is read for it."""
    names = {character.id: character.name for character in context.cast}
    lines = [f"# {context.story.title}", context.story.premise]
    lines += [scene.content for scene in context.recent]
    lines += [f"({name} is here.)" for name in names.values()]
    lines += [
        f"({names[felt.source]} trusts {names[felt.target]}: {felt.trust:+.1f})"
        for felt in context.relationships
        if felt.source in names and felt.target in names
    ]
    lines += [f"(Remembered: {memory.content})" for memory in context.memories]
    if context.choice is not None:
        lines.append(f"The player chooses: {context.choice.content}")
    if context.instruction is not None:
        lines.append(f"The player asks: {context.instruction}")
    return "\n".join(lines)


class PlainModel:
    """A model that needs no key: it repeats what it was asked for, and finds the names that it knows."""

    name = "plain"
    _names = ("Mara", "Tom")

    async def write(self, prompt: str) -> Written:
        """Return a scene about the last line of the prompt."""
        asked = prompt.splitlines()[-1].partition(": ")[2] or "The tide goes out"
        return Written(f"{asked}. Mara looks at Tom and says nothing.", ["Ask her", "Wait"])

    async def extract(self, text: str) -> Extracted:
        """Return the names in the text."""
        cast = [name for name in self._names if name in text]
        feelings = [RelationshipChange("Mara", "Tom", trust=0.1, reason="he waited")]
        return Extracted(cast, feelings, [NewMemory(text, character="Mara")])


async def main() -> None:
    """Play two turns and print what is there afterwards."""
    async with LivingWorld.open() as livingworld:
        world, _ = await livingworld.worlds.get_or_create("port")
        service = StoryService(world, PlainModel())
        story = await service.create("ada/slot-1", "The Causeway", "A lantern on the wrong side of the water.")
        scene = await service.instruct(story.id, "ada", "click-1", "begin at night")
        await service.choose(story.id, "ada", "click-2", choice=1, head=scene.number)
        resumed = await service.resume(story.id)
        print(*(each.content for each in resumed.scenes), sep="\n")
        print([character.name for character in resumed.cast], [felt.trust for felt in resumed.relationships])
        print([hit.excerpt for hit in await service.search("night")])


if __name__ == "__main__":
    asyncio.run(main())
