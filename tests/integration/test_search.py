"""Full-text search: over scenes, memories and lore of one world, ranked, in pages."""

from __future__ import annotations

import pytest

from livingworld import LivingWorld, NewLoreEntry, NewMemory, NewScene, SearchHit, Story, World
from livingworld.errors import InvalidCursor, InvalidInput
from livingworld.story.search import repository


async def fill(world: World, story: Story) -> None:
    """Store three scenes, four memories and three lore entries, one of each kind about the lamp."""
    for text in ("Nobody lit the lamp.", "The tide came in.", "A boat lay upside down."):
        await world.stories.append_scene(story.id, NewScene(text))
    mara, _ = await world.characters.get_or_create("Mara")
    await world.memories.add(
        story.id,
        [
            NewMemory("Mara hid the lamp", mara.id, private=True),
            NewMemory("The lamp, the lamp was cold"),
            NewMemory("Nobody called"),
        ],
    )
    await world.lore.add_many(
        [
            NewLoreEntry("The lamp has burnt for a hundred years.", title="Lamp"),
            NewLoreEntry("A lamp that is hidden.", enabled=False),
            NewLoreEntry("The tides of Saltmarsh."),
        ]
    )


async def find(world: World, query: str, **options: object) -> list[SearchHit]:
    return list((await world.search.find(query, **options)).items)  # type: ignore[arg-type]


async def test_all_kinds_are_found_and_ranked_and_marked(world: World, story: Story) -> None:
    await fill(world, story)
    hits = await find(world, "LAMP")

    assert sorted(hit.kind for hit in hits) == ["lore", "memory", "scene"]
    assert hits[0].kind == "memory", "it says the word twice"
    assert [hit.rank for hit in hits] == sorted((hit.rank for hit in hits), reverse=True)
    by_kind = {hit.kind: hit for hit in hits}
    scene, memory, lore = by_kind["scene"], by_kind["memory"], by_kind["lore"]
    assert (scene.story_id, scene.scene_number, scene.id, scene.title) == (story.id, 1, None, "The Causeway")
    assert scene.excerpt == "Nobody lit the [lamp]."
    assert (memory.excerpt, memory.scene_number) == ("The [lamp], the [lamp] was cold", 3)
    assert (await world.memories.get(memory.id)).content == "The lamp, the lamp was cold" if memory.id else False
    assert (lore.title, lore.story_id) == ("Lamp", None)


async def test_a_query_is_words_and_nothing_is_bad_syntax(world: World, story: Story) -> None:
    await fill(world, story)

    assert [hit.excerpt for hit in await find(world, '"tide came" in', marks=("<b>", "</b>"))] == [
        "The <b>tide</b> <b>came</b> <b>in</b>."
    ]
    assert {hit.kind for hit in await find(world, "lamp -cold")} == {"scene", "lore"}
    assert len(await find(world, "boat OR tide", kinds=["scene"])) == 2
    assert await find(world, "lamp", story_id=story.id, kinds=["lore"]) == []
    for strange in ("' & ! (", "((((", "a:*b|", "\\", "-", '"'):
        assert isinstance(await find(world, strange), list)


async def test_what_is_hidden_is_not_found(world: World, story: Story) -> None:
    await fill(world, story)
    hits = await find(world, "lamp", kinds=["memory"])
    assert len(hits) == 1
    assert hits[0].id is not None
    await world.memories.forget([hits[0].id])

    assert await find(world, "lamp", kinds=["memory"]) == []
    assert await find(world, "hid OR see") == []


async def test_pages_neither_repeat_nor_skip(world: World, story: Story) -> None:
    for number in range(25):
        await world.stories.append_scene(story.id, NewScene(f"The lamp. Scene {number}." + " lamp" * (number % 3)))
    whole = await find(world, "lamp", limit=100)
    paged: list[SearchHit] = []
    after = None
    while True:
        page = await world.search.find("lamp", limit=4, after=after)
        paged += page.items
        if (after := page.next) is None:
            break

    assert len(whole) == 25
    assert paged == whole


async def test_a_transaction_finds_what_it_has_written(world: World, story: Story) -> None:
    async with world.transaction() as tx:
        await tx.stories.append_scene(story.id, NewScene("The lamp is lit."))
        found = await tx.search.find("lamp")

    assert [hit.kind for hit in found.items] == ["scene"]


async def test_no_row_of_another_world_is_found(livingworld: LivingWorld, world: World, story: Story) -> None:
    other = await livingworld.worlds.create("Saltmarsh")
    twin = await other.stories.create("The Causeway")
    await fill(world, story)
    await other.stories.append_scene(twin.id, NewScene("Nobody lit the lamp."))

    assert [hit.story_id for hit in await find(other, "lamp")] == [twin.id]
    assert await find(other, "lamp", story_id=story.id) == []


async def test_a_very_long_scene_is_stored_and_found_by_its_beginning(world: World, story: Story) -> None:
    words = " ".join(f"word{number}" for number in range(110_000))[:1_000_000]
    await world.stories.append_scene(story.id, NewScene(words))

    assert [hit.scene_number for hit in await find(world, "word77")] == [1]
    assert await find(world, "word99999") == []


async def test_bad_input_is_named(world: World) -> None:
    for query in ("", " ", "\x00", "x" * 1001):
        with pytest.raises(InvalidInput):
            await find(world, query)
    with pytest.raises(InvalidInput):
        await find(world, "x", kinds=["scenes"])
    for marks in (('"', "b"), ("a", "\\"), ("", "b")):
        with pytest.raises(InvalidInput):
            await find(world, "x", marks=marks)
    for cursor in ("", "x", "WzFd", "W05hTiwgIngiXQ=="):
        with pytest.raises(InvalidCursor):
            await find(world, "x", after=cursor)


async def test_of_a_word_that_is_everywhere_some_texts_are_ranked_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, world: World, story: Story
) -> None:
    monkeypatch.setattr(repository, "MAX_LOOKED_AT", 5)
    for number in range(7):
        await world.stories.append_scene(story.id, NewScene(f"The lamp, the tide. {'seven' if number == 6 else ''}"))
    await world.search.index()
    cut = await world.search.find("lamp", limit=2)
    pages = [cut]
    while pages[-1].next is not None:
        pages.append(await world.search.find("lamp", limit=2, after=pages[-1].next))

    assert cut.is_cut
    assert len({hit.scene_number for page in pages for hit in page.items}) == 5
    assert not (await world.search.find("lamp seven")).is_cut
    nothing = await world.search.find('"tide lamp"')
    assert (nothing.items, nothing.next, nothing.is_cut) == ((), None, True)


async def test_a_query_names_what_is_to_be_there(world: World, story: Story) -> None:
    await fill(world, story)

    for excluding in ("-lamp", "lamp OR -cold", '-"lamp cold"'):
        assert await find(world, excluding) == []
    assert {hit.kind for hit in await find(world, 'lamp -"was cold"')} == {"scene", "lore"}


async def test_a_scene_is_found_by_the_instruction_of_its_turn_before_and_after_it_is_indexed(
    world: World, story: Story
) -> None:
    async with world.turns.take(story.id, request_key="one", instruction="light the zephyr lamp") as turn:
        await turn.commit(NewScene("Night falls."))
    (unindexed,) = await find(world, "zephyr")
    await world.search.index()
    (indexed,) = await find(world, "zephyr night")

    assert (unindexed.kind, unindexed.scene_number, indexed.scene_number) == ("scene", 1, 1)
    assert "[zephyr]" in unindexed.excerpt
    assert "[zephyr]" in indexed.excerpt
    assert "[Night]" in indexed.excerpt

    async with world.turns.regenerate(story.id, request_key="two", instruction="blow it out") as turn:
        await turn.commit(NewScene("Day breaks."))
    for _ in range(2):
        assert [hit.scene_number for hit in await find(world, "blow")] == [1]
        assert await find(world, "zephyr") == []
        await world.search.index()
