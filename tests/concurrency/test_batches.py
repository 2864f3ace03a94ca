"""A hundred items in ten transactions, of which one fails once: who brings all of them again has each of them once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

import pytest

from livingworld import (
    ABSENT,
    LivingWorld,
    NewLoreEntry,
    NewMemory,
    NewScene,
    RelationshipChange,
    TransactionScope,
    World,
)
from livingworld.errors import CommitUnknown, LivingWorldError, RequestKeyReused
from livingworld.testing.protocol_proxy import Moment, protocol_proxy
from tests.support.staging import GaveUp, deadlocks, same_world
from tests.support.turn_checks import rows

CHUNKS: Final = 10
SIZE: Final = 10
ITEMS: Final = [f"item {number}" for number in range(CHUNKS * SIZE)]
FAILING: Final = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where the items go."""

    story: UUID
    people: tuple[UUID, UUID]


@dataclass(slots=True)
class Imported:
    """What became of the chunks of one pass."""

    committed: dict[int, list[str]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


#: Stores items in a transaction and returns their ids.
Store: TypeAlias = Callable[[TransactionScope, Place, list[str]], Awaitable[list[str]]]
#: Stores one chunk of a world's import as a unit; the transaction is left by an error when it is to fail.
StoreChunk: TypeAlias = Callable[[World, Store, Place, int, bool], Awaitable[list[str]]]


async def as_lore(tx: TransactionScope, _: Place, items: list[str]) -> list[str]:
    return [str(entry.id) for entry in await tx.lore.add_many([NewLoreEntry(item) for item in items])]


async def as_scenes(tx: TransactionScope, place: Place, items: list[str]) -> list[str]:
    return [str((await tx.stories.append_scene(place.story, NewScene(item))).number) for item in items]


async def as_changes(tx: TransactionScope, place: Place, items: list[str]) -> list[str]:
    changes = [RelationshipChange(*place.people, trust=0.001, reason=item) for item in items]
    return [f"{felt.trust:.3f}" for felt in await tx.relationships.adjust_many(place.story, changes)]


async def as_memories(tx: TransactionScope, place: Place, items: list[str]) -> list[str]:
    remembered = await tx.memories.add(place.story, [NewMemory(item) for item in items])
    return [str(memory.id) for memory, _ in remembered]


#: How items are stored, and what is found of them.
WAYS: Final[Mapping[Store, str]] = {
    as_lore: "SELECT content FROM livingworld.lore_entries",
    as_scenes: "SELECT content FROM livingworld.scenes",
    as_changes: "SELECT reason FROM livingworld.relationship_changes",
    as_memories: "SELECT content FROM livingworld.memories",
}
every_way = pytest.mark.parametrize("store", WAYS, ids=lambda store: store.__name__)
#: What has no rule of its own against being stored twice.
counted_ways = pytest.mark.parametrize("store", [as_lore, as_scenes, as_changes], ids=lambda store: store.__name__)


async def new_place(world: World) -> Place:
    story = await world.stories.create("The Causeway")
    mara, _ = await world.characters.get_or_create("Mara")
    tom, _ = await world.characters.get_or_create("Tom")
    return Place(story.id, (mara.id, tom.id))


def items_of(chunk: int) -> list[str]:
    return ITEMS[chunk * SIZE : (chunk + 1) * SIZE]


async def by_key(world: World, store: Store, place: Place, chunk: int, fails: bool) -> list[str]:  # noqa: FBT001
    async def work(tx: TransactionScope) -> list[str]:
        stored = await store(tx, place, items_of(chunk))
        if fails:
            raise GaveUp
        return stored

    return await world.run(work, request_key=f"import 7:{chunk}", arguments={"items": items_of(chunk)})


async def naively(world: World, store: Store, place: Place, chunk: int, fails: bool) -> list[str]:  # noqa: FBT001
    async with world.transaction() as tx:
        stored = await store(tx, place, items_of(chunk))
        if fails:
            raise GaveUp
        return stored


async def recorded_first(world: World, store: Store, place: Place, chunk: int, fails: bool) -> list[str]:  # noqa: FBT001
    """Note that the chunk is done, and then do it."""
    if await world.documents.set_if(f"import 7:{chunk}", value=True, expected=ABSENT) is None:
        return []
    return await naively(world, store, place, chunk, fails)


async def import_all(
    world: World, store: Store, place: Place, how: StoreChunk = by_key, failing: int | None = None
) -> Imported:
    """Store all chunks, one after the other, and say which were committed."""
    imported = Imported()
    for chunk in range(CHUNKS):
        try:
            imported.committed[chunk] = await how(world, store, place, chunk, chunk == failing)
        except (LivingWorldError, GaveUp) as error:
            imported.failed[chunk] = type(error).__name__
    return imported


async def found(url: str, store: Store) -> list[str]:
    return [row[0] for row in await rows(url, WAYS[store])]


@every_way
async def test_a_chunk_that_failed_once_is_made_up_for_by_bringing_all_again(
    database_url: str, world: World, store: Store
) -> None:
    place = await new_place(world)
    first = await import_all(world, store, place, failing=FAILING)
    assert first.failed == {FAILING: "GaveUp"}
    assert len(await found(database_url, store)) == 90

    second = await import_all(world, store, place)

    assert second.failed == {}
    assert {chunk: ids for chunk, ids in second.committed.items() if chunk != FAILING} == first.committed
    assert len({each for ids in second.committed.values() for each in ids}) == 100
    assert sorted(await found(database_url, store)) == sorted(ITEMS)


@counted_ways
async def test_without_a_key_what_was_committed_is_stored_again(database_url: str, world: World, store: Store) -> None:
    place = await new_place(world)
    await import_all(world, store, place, naively, failing=FAILING)
    await import_all(world, store, place, naively)

    stored = await found(database_url, store)
    assert (len(stored), len(set(stored))) == (190, 100)


async def test_a_chunk_that_is_recorded_before_it_is_stored_is_lost(database_url: str, world: World) -> None:
    place = await new_place(world)
    await import_all(world, as_lore, place, recorded_first, failing=FAILING)
    second = await import_all(world, as_lore, place, recorded_first)

    assert second.failed == {}
    assert len(await found(database_url, as_lore)) == 90


@pytest.mark.rotates(parts=2)
@every_way
async def test_three_who_bring_all_at_once_store_each_item_once_and_hear_the_same(
    database_url: str, world: World, store: Store
) -> None:
    place = await new_place(world)
    async with same_world(database_url, world.id, pools=3) as worlds:
        one, *others = await asyncio.gather(*(import_all(each, store, place) for each in worlds))

    assert one.failed == {}
    assert [each.committed for each in others] == [one.committed] * 2
    assert sorted(await found(database_url, store)) == sorted(ITEMS)
    assert await deadlocks(database_url) == 0


async def import_through(
    stack: AsyncExitStack, url: str, world: World, moment: Moment, store: Store, how: StoreChunk
) -> tuple[Place, Imported]:
    """Import over a connection that is lost once, around the COMMIT of one chunk."""
    place = await new_place(world)
    proxy = await stack.enter_async_context(protocol_proxy(url))
    behind = await stack.enter_async_context(LivingWorld.open(database_url=proxy.url))
    there = await behind.worlds.get(world.id)
    lost = proxy.at(moment, "COMMIT;", nth=FAILING + 1)
    imported = await import_all(there, store, place, how)
    assert lost.happened.is_set()
    return place, imported


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("moment", Moment)
@every_way
async def test_a_commit_whose_answer_is_lost_is_asked_for_and_told(
    database_url: str, world: World, moment: Moment, store: Store
) -> None:
    async with AsyncExitStack() as stack:
        place, imported = await import_through(stack, database_url, world, moment, store, by_key)

    assert imported.failed == {}
    assert sorted(await found(database_url, store)) == sorted(ITEMS)
    assert await import_all(world, store, place) == imported


@pytest.mark.parametrize("moment", Moment)
async def test_without_a_key_a_lost_commit_is_unknown_and_what_is_brought_again_may_be_there_twice(
    database_url: str, world: World, moment: Moment
) -> None:
    async with AsyncExitStack() as stack:
        place, imported = await import_through(stack, database_url, world, moment, as_lore, naively)
    assert imported.failed == {FAILING: CommitUnknown.__name__}
    await naively(world, as_lore, place, FAILING, fails=False)

    assert len(await found(database_url, as_lore)) == (110 if moment is Moment.AFTER else 100)


async def test_a_chunk_of_other_items_under_the_same_key_is_refused(database_url: str, world: World) -> None:
    async def work(tx: TransactionScope) -> list[str]:
        return await as_lore(tx, place, ["another item"])

    place = await new_place(world)
    await import_all(world, as_lore, place)
    with pytest.raises(RequestKeyReused):
        await world.run(work, request_key="import 7:0", arguments={"items": ["another item"]})

    assert sorted(await found(database_url, as_lore)) == sorted(ITEMS)
