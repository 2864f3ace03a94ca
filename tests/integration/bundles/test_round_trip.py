"""A world goes into a bundle and comes back with every row, in another database and under another id."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import ARRAY, REAL

from livingworld import BundleProgress, LiveEvent, LivingWorld, NewScene, World, verify_bundle
from livingworld.bundles import reading
from livingworld.bundles.contents import EXCUSED, VECTORS
from livingworld.identifiers import new_id
from livingworld.schema import metadata
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.integration.bundles.full_world import FullWorld, all_rows, bundle_of, opened

#: Play-throughs of a story that nobody here wrote; see its README.
PLAYED: Final = Path(__file__).parents[4] / "shared/data/the-intercept/playthroughs.jsonl"


async def test_a_bundle_comes_back_in_another_database_with_every_row(
    full: FullWorld, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_ROWS", 1)  # a memory is stored before the summary that it refers to
    async with opened(database_url) as livingworld:
        restored = await livingworld.worlds.import_bundle(BytesIO(full.bundle))
        again = await bundle_of(livingworld, full.id)
    rows = await all_rows(full.url, full.id)

    assert restored.record == full.record
    assert await all_rows(database_url, full.id) == rows
    assert [table for table, found in rows.items() if not found] == []  # a new table is in the bundle: `fill` it
    assert without_moments(again) == without_moments(full.bundle)


def without_moments(bundle: bytes) -> list[object]:
    _, *lines = map(json.loads, bundle.splitlines())
    return [{name: value for name, value in line.items() if name != "digest"} for line in lines]


async def test_a_bundle_comes_back_under_another_id_beside_the_first_one(full: FullWorld) -> None:
    async with opened(full.url) as livingworld:
        copy = await livingworld.worlds.import_bundle(BytesIO(full.bundle), as_world=new_id())

    rows = await all_rows(full.url, copy.id)
    assert await all_rows(full.url, copy.id, known_as=full.id) == await all_rows(full.url, full.id)
    assert [table for table, found in rows.items() if str(full.id) in str(found)] == []


async def test_a_copy_has_neither_the_key_nor_the_request_key(livingworld: LivingWorld) -> None:
    keyed, _ = await livingworld.worlds.get_or_create("save")
    requested = await livingworld.worlds.create("Saltmarsh", request_key="r1")
    for world in (keyed, requested):
        file = BytesIO(await bundle_of(livingworld, world.id))
        copy = await livingworld.worlds.import_bundle(file, as_world=new_id())
        assert copy.record.key is None

    assert (await livingworld.worlds.get_or_create("save"))[0].id == keyed.id
    assert (await livingworld.worlds.create("Saltmarsh", request_key="r1")).id == requested.id


async def test_a_purged_world_comes_back_with_its_keys(livingworld: LivingWorld) -> None:
    keyed, _ = await livingworld.worlds.get_or_create("save")
    file = BytesIO(await bundle_of(livingworld, keyed.id))
    await livingworld.worlds.purge(keyed.id)

    restored = await livingworld.worlds.import_bundle(file)

    assert restored.record == keyed.record
    assert (await livingworld.worlds.get_or_create("save"))[1] is False


async def test_a_restored_world_goes_on_with_its_counters_keys_and_words(
    full: FullWorld, livingworld: LivingWorld
) -> None:
    world = await livingworld.worlds.import_bundle(BytesIO(full.bundle))
    (story,) = (await world.stories.list()).items
    streams = await last_numbers(world)

    again = await world.stories.append_scene(story.id, NewScene("Another way."), branch=3, request_key="a way")
    async with world.live.subscribe(story=story.id) as events:
        scene = await world.stories.append_scene(story.id, NewScene("The marsh glitters."))
        event = await anext(events)

    assert again.number <= story.scene_count
    assert scene.number == story.scene_count + 1
    assert isinstance(event, LiveEvent)
    assert event.number == streams + 1
    assert [hit.scene_number for hit in (await world.search.find("glitters")).items] == [scene.number]
    assert (await world.search.find("uno")).items
    assert (await world.documents.set("passing", 1)).version == 3


async def last_numbers(world: World) -> int:
    """Return the number of the last event of the story."""
    (story,) = (await world.stories.list()).items
    return (await world.live.snapshot(nothing, story=story.id)).number


async def nothing(_: Any) -> None: ...  # noqa: ANN401


async def test_without_vectors_an_embedder_makes_them_again(full: FullWorld) -> None:
    file = BytesIO()
    async with opened(full.url) as livingworld:
        bundle = await livingworld.worlds.export_bundle(full.id, file, vectors=False)
        file.seek(0)
        world = await livingworld.worlds.import_bundle(file, as_world=new_id())
        embeddings = world.memory_embeddings(HashingEmbedder())
        await embeddings.use()
        await embeddings.run_all()
        (story,) = (await world.stories.list()).items
        found = await embeddings.recall(story.id, "The lamp was lit.")

    assert not bundle.vectors
    assert not VECTORS & bundle.counts.keys()
    assert found


async def test_progress_and_verification_count_what_is_there(full: FullWorld, tmp_path: Path) -> None:
    path = tmp_path / "saltmarsh.jsonl"
    told: dict[str, list[BundleProgress]] = {"export": [], "verify": [], "import": []}
    async with opened(full.url) as livingworld:
        bundle = await livingworld.worlds.export_bundle(full.id, path, progress=told["export"].append)
        assert verify_bundle(path, progress=told["verify"].append) == bundle
        await livingworld.worlds.import_bundle(path, as_world=new_id(), progress=told["import"].append)

    assert {each[-1].rows for each in told.values()} == {sum(bundle.counts.values())}
    assert not path.with_name(f"{path.name}.part").exists()
    assert path.stat().st_mode & 0o077 == 0  # nobody else reads it


def test_no_table_of_vectors_is_forgotten() -> None:
    vectors = {
        table.name
        for table in metadata.tables.values()
        if any(isinstance(column.type, ARRAY) and isinstance(column.type.item_type, REAL) for column in table.columns)
    }

    assert vectors <= VECTORS


def test_every_excuse_is_of_a_table_and_has_a_reason() -> None:
    assert EXCUSED.keys() | VECTORS <= {table.name for table in metadata.tables.values()}
    assert all(len(reason.split()) > 5 for reason in EXCUSED.values())


async def test_real_stories_come_back(full: FullWorld) -> None:
    if not PLAYED.exists():
        pytest.skip("the recorded play-throughs of The Intercept are not here")
    async with opened(full.url) as livingworld:
        world = await livingworld.worlds.create("The Intercept")
        for line in PLAYED.read_text(encoding="utf-8").splitlines()[:3]:
            story = await world.stories.create("The Intercept")
            for turn in json.loads(line)["turns"]:
                scene = NewScene(turn["text"], turn["choices"], chosen_choice=turn["chosen"], cast=["The prisoner"])
                await world.stories.append_scene(story.id, scene)
        file = BytesIO(await bundle_of(livingworld, world.id))
        copy = await livingworld.worlds.import_bundle(file, as_world=new_id())

    assert await all_rows(full.url, copy.id, known_as=world.id) == await all_rows(full.url, world.id)
