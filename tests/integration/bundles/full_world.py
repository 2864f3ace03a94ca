"""A world with rows in every table, and with values that are easily changed on their way; and the rows of a world."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from uuid import UUID

from livingworld import LivingWorld, NewLoreEntry, NewMemory, NewSample, NewScene, Settings, World, WorldRecord
from livingworld.bundles.contents import EXCUSED
from livingworld.schema import metadata
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import connected
from tests.integration.doctor.lived_world import live

#: What JSON, a line, a tab-separated file or a NULL could be taken for.
AWKWARD: Final = 'NULL \\N {a,"b"} "quoted" back\\slash\nline\ttab\r\x7f\u2028 ß 😀 \\u0041'


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[LivingWorld]:
    """Open a LivingWorld that does nothing in the background."""
    async with LivingWorld.open(Settings.load(database_url=url, index_words=False)) as livingworld:
        yield livingworld


@dataclass(frozen=True)
class FullWorld:
    """Where it is, and its bundle."""

    url: str
    record: WorldRecord
    bundle: bytes

    @property
    def id(self) -> UUID:
        """Id of the world."""
        return self.record.id


async def make_full_world(url: str) -> FullWorld:
    """Make a world in which every table of a bundle has rows, and write its bundle."""
    async with opened(url) as livingworld:
        world = await fill(livingworld)
        return FullWorld(url, world.record, await bundle_of(livingworld, world.id))


async def fill(livingworld: LivingWorld) -> World:
    """Make a world in which every table of a bundle has rows."""
    world = await livingworld.worlds.get(await live(livingworld))
    (story,) = (await world.stories.list()).items
    await world.search.index()
    await world.text_embeddings(HashingEmbedder()).run_all()
    scene = NewScene(AWKWARD, [AWKWARD, "null"], cast=["Mara"], location="null", metadata={"a": [None, 1e300, AWKWARD]})
    async with world.turns.take(story.id, request_key="call", player=AWKWARD[:4]) as turn:
        async with turn.call("planner") as call:
            call.answer(AWKWARD)
        await turn.commit(scene)
    await _remember(world, story.id)
    for key, value in (("nothing", None), ("tiny", 5e-324), ("large", 2**60), ("text", AWKWARD)):
        await world.documents.set(key, value)
    await world.ai_models.samples.add_many([NewSample(role="narrator", input=None, output=[AWKWARD])])
    async with world.live.subscribe():  # the world's own stream and request keys have its id
        await world.lore.add(NewLoreEntry(AWKWARD, keys=["{", '"', "a,b"]), request_key="lore")
    return world


async def _remember(world: World, story_id: UUID) -> None:
    """Let summaries stand for summaries, each made after what it stands for; and leave a memory without a vector."""
    first = [NewMemory("The tide came."), NewMemory("The tide went.")]
    ids = [memory.id for memory, _ in await world.memories.add(story_id, first)]
    for text in ("Tides.", "Of tides and other things."):
        summary = await world.memories.consolidate(story_id, ids, NewMemory(text))
        ids = [summary.id]


async def all_rows(url: str, world_id: UUID, known_as: UUID | None = None) -> dict[str, list[str]]:
    """Return every row of a world by table, in PostgreSQL's own words; `known_as` is the id that is shown."""
    async with connected(url) as connection:
        return {
            table.name: sorted(
                row["row"].replace(str(world_id), str(known_as or world_id))
                for row in await connection.fetch(
                    f"SELECT t::text AS row FROM {table.fullname} t WHERE world_id = $1",  # noqa: S608
                    world_id,
                )
            )
            for table in metadata.tables.values()
            if table.name not in EXCUSED
        }


async def bundle_of(livingworld: LivingWorld, world_id: UUID) -> bytes:
    """Return the bundle of a world."""
    file = BytesIO()
    await livingworld.worlds.export_bundle(world_id, file)
    return file.getvalue()
