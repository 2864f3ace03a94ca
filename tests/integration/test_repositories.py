from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from livingworld import LivingWorld, NewScene, Page, Scene, Story, TransactionScope, World
from livingworld.errors import Archived, NameTaken, StoryNotFound, WorldNotFound
from livingworld.schema import metadata
from livingworld.testing.staged_races import connected
from tests.support.staging import elsewhere


async def row_counts(url: str) -> dict[str, int]:
    async with connected(url) as connection:
        return {
            table.name: await connection.fetchval(f"SELECT count(*) FROM {table.fullname}")  # noqa: S608 - our own names
            for table in metadata.tables.values()
        }


async def fill(world: World, scenes: int) -> Story:
    story = await world.stories.create("The Causeway")
    for number in range(scenes):
        chosen = 1 if number else None
        scene = NewScene(f"{number}", ["on", "back"], ["Mara", "Tom"], chosen_choice=chosen)
        await world.stories.append_scene(story.id, scene, request_key=f"r{number}")
    await world.stories.edit_scene(story.id, 1, expected_version=1, content="edited")
    await world.stories.update(story.id, expected_version=1, title="Edited")
    return story


async def test_worlds_are_listed_newest_first_in_pages_and_by_tenant(livingworld: LivingWorld) -> None:
    made = [await livingworld.worlds.create(f"w{n}", tenant="ann" if n % 2 else "bo") for n in range(7)]
    listed, after = [], None
    while True:
        page = await livingworld.worlds.list(limit=3, after=after)
        listed += [record.id for record in page.items]
        if (after := page.next) is None:
            break

    assert listed == [world.id for world in reversed(made)]
    anns = await livingworld.worlds.list(tenant="ann")
    assert [record.name for record in anns.items] == ["w5", "w3", "w1"]
    assert (await livingworld.worlds.list(tenant="nobody")).items == ()


async def test_a_world_is_changed_archived_and_restored(livingworld: LivingWorld, world: World) -> None:
    changed = await livingworld.worlds.update(world.id, expected_version=1, name="Fen", settings={"tone": "dry"})
    archived = await livingworld.worlds.archive(world.id)
    again = await livingworld.worlds.archive(world.id)
    hidden = await livingworld.worlds.list()
    restored = await livingworld.worlds.restore(world.id)

    assert (changed.name, changed.settings, changed.version) == ("Fen", {"tone": "dry"}, 2)
    assert archived.archived_at is not None
    assert again == archived
    assert hidden.items == ()
    assert restored.archived_at is None
    assert [record.id for record in (await livingworld.worlds.list()).items] == [world.id]


async def test_a_purged_world_leaves_no_row_and_others_stay(
    livingworld: LivingWorld, world: World, database_url: str
) -> None:
    before = await row_counts(database_url)
    other = await livingworld.worlds.create("Other")
    await fill(other, 5)
    await other.characters.add_alias((await other.characters.get_or_create("Mara"))[0].id, "The lamplighter")

    await livingworld.worlds.purge(other.id)

    assert await row_counts(database_url) == before
    with pytest.raises(WorldNotFound):
        await livingworld.worlds.get(other.id)
    assert (await livingworld.worlds.get(world.id)).id == world.id


async def test_a_purged_story_of_300_scenes_leaves_no_row_and_others_stay(world: World, database_url: str) -> None:
    kept = await fill(world, 3)
    await world.search.index()  # else it happens meanwhile
    before = await row_counts(database_url)
    purged = await fill(world, 300)

    await world.stories.purge(purged.id)

    assert await row_counts(database_url) == before
    with pytest.raises(StoryNotFound):
        await world.stories.get(purged.id)
    assert (await world.stories.head(kept.id)).branch.length == 3


async def test_stories_are_listed_with_their_scene_counts(world: World) -> None:
    long, short = await fill(world, 4), await world.stories.create("Short")
    archived = await world.stories.create("Archived")
    await world.stories.archive(archived.id)

    assert [(story.id, story.scene_count) for story in (await world.stories.list()).items] == [
        (short.id, 0),
        (long.id, 4),
    ]
    assert len((await world.stories.list(include_archived=True)).items) == 3


async def test_an_archived_story_is_read_but_not_written_until_it_is_restored(world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    await world.stories.archive(story.id)
    for write in (
        world.stories.append_scene(story.id, NewScene("two")),
        world.stories.update(story.id, expected_version=2, title="x"),
        world.stories.edit_scene(story.id, 1, expected_version=1, content="x"),
    ):
        with pytest.raises(Archived):
            await write
    assert (await world.stories.scene(story.id, 1)).content == "one"

    await world.stories.restore(story.id)
    assert (await world.stories.append_scene(story.id, NewScene("two"))).number == 2


async def test_pages_of_a_path_meet_without_gap_or_repeat_while_others_write(world: World) -> None:
    story = await fill(world, 10)

    async def walk(*, newest_first: bool) -> list[int]:
        numbers: list[int] = []
        after: str | None = None
        while True:
            page: Page[Scene] = await world.stories.scenes(story.id, limit=3, after=after, newest_first=newest_first)
            numbers += [scene.number for scene in page.items]
            await world.stories.append_scene(story.id, NewScene("meanwhile"))
            if (after := page.next) is None or len(numbers) > 12:
                return numbers

    assert await walk(newest_first=True) == list(range(10, 0, -1))
    forward = await walk(newest_first=False)
    assert forward == list(range(1, len(forward) + 1))


async def test_the_raw_response_is_kept_and_read_alone(world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("one", raw_response='{"text": "one"}'))
    await world.stories.append_scene(story.id, NewScene("two"))

    assert await world.stories.raw_response(story.id, 1) == '{"text": "one"}'
    assert await world.stories.raw_response(story.id, 2) is None


async def test_an_edit_keeps_the_old_text_as_a_revision(world: World) -> None:
    story = await fill(world, 1)
    scene = await world.stories.edit_scene(story.id, 1, expected_version=2, content="third", location="quay")

    revisions = await world.stories.revisions(story.id, scene_number=1)
    assert (scene.content, scene.location, scene.version) == ("third", "quay", 3)
    assert [(revision.version, revision.content["content"]) for revision in revisions] == [(1, "0"), (2, "edited")]
    assert [revision.content["title"] for revision in await world.stories.revisions(story.id)] == ["The Causeway"]


async def test_a_character_answers_to_all_its_names(world: World) -> None:
    mara, created = await world.characters.get_or_create("Mara", card={"age": 31})
    await world.characters.add_alias(mara.id, "The Lamplighter")
    renamed = await world.characters.update(mara.id, expected_version=1, name="Mara Vale")

    assert created
    for name in ("mara", "THE  lamplighter", "Mara Vale"):
        found = await world.characters.find(name)
        assert found == renamed
    assert await world.characters.find("Tom") is None
    assert set(renamed.names) == {"Mara", "The Lamplighter", "Mara Vale"}
    assert (await world.characters.revisions(mara.id))[0].content == {"name": "Mara", "card": {"age": 31}}
    tom, _ = await world.characters.get_or_create("Tom")
    with pytest.raises(NameTaken) as caught:
        await world.characters.add_alias(tom.id, "MARA")
    assert caught.value.character_id == mara.id
    assert [character.id for character in (await world.characters.list()).items] == [tom.id, mara.id]


async def test_worlds_with_equal_names_never_see_each_other(livingworld: LivingWorld) -> None:
    one, two = [await livingworld.worlds.create("Saltmarsh") for _ in range(2)]
    story = await fill(one, 2)
    mara, _ = await two.characters.get_or_create("Mara")

    assert mara.id != (await one.characters.get_or_create("Mara"))[0].id
    assert (await two.stories.list()).items == ()
    for call in (
        two.stories.get(story.id),
        two.stories.append_scene(story.id, NewScene("x")),
        two.stories.purge(story.id),
    ):
        with pytest.raises(StoryNotFound):
            await call
    assert await two.stories.revisions(story.id) == ()
    assert (await one.stories.head(story.id)).branch.length == 2


async def test_several_operations_commit_together_or_not_at_all(world: World, story: Story, database_url: str) -> None:
    before = await row_counts(database_url)
    with pytest.raises(ZeroDivisionError):
        await world.run(_write_and_fail(story))
    assert await row_counts(database_url) == before

    async with elsewhere(world.transaction()) as tx:
        await tx.stories.append_scene(story.id, NewScene("one", cast=["Mara"]))
        await tx.characters.get_or_create("Tom")
        assert (await world.stories.head(story.id)).scene is None  # other sessions do not see it yet
    assert (await world.stories.head(story.id)).branch.length == 1
    assert await world.characters.find("tom") is not None


def _write_and_fail(story: Story) -> Callable[[TransactionScope], Awaitable[float]]:
    async def work(tx: TransactionScope) -> float:
        await tx.stories.append_scene(story.id, NewScene("one", cast=["Mara"]))
        await tx.characters.get_or_create("Tom")
        return 1 / 0

    return work
