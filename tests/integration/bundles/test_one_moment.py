"""A bundle holds one moment, whoever writes meanwhile; and it holds up nobody."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from io import BytesIO

import pytest

from livingworld import LivingWorld, NewScene, Settings, TransactionScope, World, WorldExists, WorldNotFound
from livingworld.errors import TransactionTimeout, Unavailable
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import connected
from tests.integration.bundles.full_world import all_rows, bundle_of, opened
from tests.integration.bundles.gated_file import GatedFile
from tests.support.patience import patiently, until
from tests.support.staging import stop

NO_SNAPSHOT = """
    SELECT count(*) = 0 FROM pg_stat_activity
    WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
"""


async def test_what_is_committed_while_a_bundle_is_written_is_not_in_it_and_waits_for_nothing(
    database_url: str,
) -> None:
    async with opened(database_url) as livingworld:
        await export_beside_writers(database_url, livingworld)


async def export_beside_writers(database_url: str, livingworld: LivingWorld) -> None:
    world = await livingworld.worlds.create("Saltmarsh")
    story = await world.stories.create("The Causeway")
    await world.stories.append_scene(story.id, NewScene("One.", cast=["Mara"]))
    await world.documents.set("flags", 1)
    before = await all_rows(database_url, world.id)
    file = GatedFile(at=1)
    exporting = asyncio.create_task(livingworld.worlds.export_bundle(world.id, file))
    try:
        await file.reached()
        async with patiently():
            await world.stories.append_scene(story.id, NewScene("Two.", cast=["Tom"]))
            await world.documents.set("flags", 2)
            await world.stories.purge(story.id)
            await livingworld.worlds.purge(world.id)
        file.open_gate()
        await exporting
    finally:
        file.open_gate()
        await stop([exporting])

    file.seek(0)
    await livingworld.worlds.import_bundle(file)
    assert await all_rows(database_url, world.id) == before


async def test_no_bundle_has_half_of_a_unit(livingworld: LivingWorld) -> None:
    world = await livingworld.worlds.create("Saltmarsh")
    stories = [await world.stories.create("The Causeway") for _ in range(2)]
    enough = asyncio.Event()

    async def write(number: int) -> None:
        while not enough.is_set():
            async with world.transaction() as tx:
                await tx.stories.append_scene(stories[number].id, NewScene("On."))
                await tx.documents.increment(f"scenes of {number}")

    writing = [asyncio.create_task(write(number)) for number in range(2)]
    try:
        bundles = [await bundle_of(livingworld, world.id) for _ in range(2)]
    finally:
        enough.set()
        await asyncio.gather(*writing)

    counts = []
    for bundle in bundles:
        copy = await livingworld.worlds.import_bundle(BytesIO(bundle), as_world=new_id())
        counts.append([await scenes_and_counter(copy, number, stories[number].id) for number in range(2)])
    assert all(scenes == counter for bundle in counts for scenes, counter in bundle)


async def scenes_and_counter(world: World, number: int, story_id: object) -> tuple[int, int]:
    document = await world.documents.find(f"scenes of {number}")
    story = next(each for each in (await world.stories.list()).items if each.id == story_id)
    return story.scene_count, 0 if document is None else document.value


async def test_of_two_imports_of_one_bundle_one_is_refused_and_nobody_sees_the_half(database_url: str) -> None:
    async with opened(database_url) as livingworld:
        await import_twice(database_url, livingworld)


async def import_twice(database_url: str, livingworld: LivingWorld) -> None:
    world = await livingworld.worlds.create("Saltmarsh")
    await world.stories.append_scene((await world.stories.create("The Causeway")).id, NewScene("One."))
    bundle = await bundle_of(livingworld, world.id)
    before = await all_rows(database_url, world.id)
    await livingworld.worlds.purge(world.id)
    file = GatedFile(bundle, at=40)
    first = asyncio.create_task(livingworld.worlds.import_bundle(file))
    try:
        await file.reached()
        with pytest.raises(WorldNotFound):
            await livingworld.worlds.get(world.id)
        second = asyncio.create_task(livingworld.worlds.import_bundle(BytesIO(bundle)))
        async with connected(database_url) as observer:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
            await until(lambda: observer.fetchval(waiting), unless=second)
        file.open_gate()
        await first
        with pytest.raises(WorldExists):
            await second
    finally:
        file.open_gate()
        await stop([first, second])

    assert await all_rows(database_url, world.id) == before


async def test_a_reader_who_stands_still_is_left_by_the_server(database_url: str) -> None:
    """Else its snapshot would keep the dead rows of every table for ever."""
    short = timedelta(milliseconds=300)
    async with LivingWorld.open(
        Settings.load(database_url=database_url, idle_in_transaction_timeout=short)
    ) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        file = GatedFile(at=3)
        exporting = asyncio.create_task(livingworld.worlds.export_bundle(world.id, file))
        try:
            await file.reached()
            async with connected(database_url) as observer:
                await until(lambda: observer.fetchval(NO_SNAPSHOT))
            file.open_gate()
            with pytest.raises((TransactionTimeout, Unavailable)):
                await exporting
        finally:
            file.open_gate()
            await stop([exporting])


async def test_an_export_takes_no_connection_from_the_calls_of_the_application(database_url: str) -> None:
    settings = Settings.load(database_url=database_url, pool_size=1)
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        file = GatedFile(at=1)
        exporting = asyncio.create_task(livingworld.worlds.export_bundle(world.id, file))
        try:
            await file.reached()

            async def set_it(tx: TransactionScope) -> None:
                await tx.documents.set("flags", 1)

            await world.run(set_it)
        finally:
            file.open_gate()
            await asyncio.gather(exporting)
