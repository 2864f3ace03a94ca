"""The deeds of bundles and vectors: a copy has what its original has, and no memory goes without a vector for ever."""

from __future__ import annotations

from io import BytesIO
from typing import Final
from uuid import UUID

from livingworld import NewMemory, NewScene, Story, World
from livingworld.identifiers import new_id
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.history import Effect, Kind
from livingworld.testing.stress.stage import ASIDE, CARRIED, DIFFERENCES
from livingworld.testing.stress.writer import Deed, Writer

_SCENES: Final = 3
#: What the background makes of scenes, in its own time.
_DERIVED: Final = {"unindexed_scenes", "scene_words"}
#: Vectors are removed by one of so many deeds: all of them are made again then.
_ONE_OF: Final = 8


async def carry_a_story(writer: Writer) -> None:
    """Carry a story from the world beside into the one whose scenes are checked, all of it or nothing."""
    values = [writer.value() for _ in range(_SCENES)]
    story, file = await _told(writer.aside, CARRIED, values), BytesIO()
    await writer.do("export_story", writer.aside.export_story(story.id, file))
    file.seek(0)

    async def call() -> tuple[int, ...]:
        return tuple(range(1, (await writer.world.import_story(file)).scene_count + 1))

    effects = tuple(Effect(Kind.APPEND, str(story.id), value) for value in values)
    await writer.ask("import_story", effects, call)


async def carry_a_world(writer: Writer) -> None:
    """Make a copy of a world, and compare it with its original."""
    rooms, file = writer.livingworld.worlds, BytesIO()
    original = await rooms.create("A passing world")
    story = await _told(original, writer.value(), [writer.value() for _ in range(_SCENES)])
    written = await writer.do("worlds.export_bundle", rooms.export_bundle(original.id, file))
    file.seek(0)

    async def call() -> tuple[list[str]]:
        copy = await rooms.import_bundle(file, as_world=new_id())
        again = await rooms.export_bundle(copy.id, BytesIO())
        differing = {name for name, count in written.counts.items() - again.counts.items() if name not in _DERIVED}
        differing |= {"scenes"} if await _texts(copy, story) != await _texts(original, story) else set()
        await rooms.purge(copy.id)
        return (sorted(differing),)

    await writer.ask("worlds.import_bundle", (Effect(Kind.READ, DIFFERENCES),), call)
    await rooms.purge(original.id)


async def _told(world: World, title: str, texts: list[str]) -> Story:
    story: Story = await world.stories.create(title)
    for text in texts:
        await world.stories.append_scene(story.id, NewScene(text))
    return story


async def _texts(world: World, story: Story) -> list[str]:
    return [scene.content for scene in (await world.stories.scenes(story.id)).items]


async def embed(writer: Writer) -> None:
    """Give scenes, characters and memories their vectors, find by them, and now and then remove them."""
    world, value = writer.aside, writer.value()
    story, _ = await world.stories.get_or_create(ASIDE)
    await world.characters.get_or_create(value)
    await world.memories.add(UUID(str(story.id)), [NewMemory(value)])
    embedder = HashingEmbedder(writer.chance.choice((8, 16)))
    memories, texts = world.memory_embeddings(embedder), world.text_embeddings(embedder)
    await writer.do("memory_embeddings.use", memories.use())
    await writer.do("memory_embeddings.run_once", memories.run_once())
    await writer.do("memory_embeddings.run_all", memories.run_all())
    await writer.do("memory_embeddings.recall", memories.recall(story.id, value))
    await writer.do("text_embeddings.run_once", texts.run_once())
    await writer.do("text_embeddings.run_all", texts.run_all(limit=1000))
    await writer.do("text_embeddings.find", texts.find(value))
    if writer.chance.randrange(_ONE_OF) == 0:
        await writer.do("text_embeddings.remove", texts.remove())


CARRIERS: Final[tuple[Deed, ...]] = (carry_a_story, carry_a_world, embed)
