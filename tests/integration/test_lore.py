"""Lore: kept in books, edited by version, matched by the keys in a text."""

from __future__ import annotations

from typing import Any

import pytest

from livingworld import NewLoreEntry, World
from livingworld.errors import InvalidCursor, InvalidInput, LoreEntryNotFound, VersionConflict
from livingworld.identifiers import new_id
from livingworld.story.lore.matching import EntryKeys, KeyIndex, ScannedTexts


async def test_entries_come_back_in_the_order_of_their_book(world: World) -> None:
    made = await world.lore.add_many(
        [
            NewLoreEntry("b", ["lamp"], book="sea", position=2, raw={"uid": 7, "extensions": {"x": None}}),
            NewLoreEntry("a", book="sea", position=1, title="A", enabled=False),
            NewLoreEntry("c", book="air", case_sensitive=True),
        ]
    )

    assert [entry.content for entry in made] == ["b", "a", "c"]
    assert (made[0].raw, made[0].keys, made[0].version) == ({"uid": 7, "extensions": {"x": None}}, ("lamp",), 1)
    page = await world.lore.list(limit=2)
    rest = await world.lore.list(limit=2, after=page.next)
    assert [entry.content for entry in page.items + rest.items] == ["c", "a", "b"]
    assert rest.next is None
    assert [entry.content for entry in (await world.lore.list(book="sea", include_disabled=False)).items] == ["b"]
    assert await world.lore.books() == ("air", "sea")
    assert await world.lore.get(made[1].id) == made[1]
    assert await world.lore.add_many([]) == ()


async def test_an_edit_keeps_the_old_copy_and_any_copy_comes_back(world: World) -> None:
    entry = await world.lore.add(NewLoreEntry("old", ["lamp"], title="Lamp"))
    edited = await world.lore.update(entry.id, expected_version=1, content="new", keys=["lantern"])
    assert (edited.content, edited.keys, edited.title, edited.version) == ("new", ("lantern",), "Lamp", 2)
    with pytest.raises(VersionConflict):
        await world.lore.update(entry.id, expected_version=1, content="lost")

    await world.lore.remove(entry.id, expected_version=2)
    for gone in (world.lore.get(entry.id), world.lore.update(entry.id, expected_version=3, title="x")):
        with pytest.raises(LoreEntryNotFound):
            await gone
    assert (await world.lore.list()).items == ()
    assert await world.lore.match("lantern lamp") == ()
    back = await world.lore.restore(entry.id, 1, expected_version=3)
    assert (back.content, back.keys, back.version) == ("old", ("lamp",), 4)
    assert [revision.content["content"] for revision in await world.lore.revisions(entry.id)] == ["old", "new", "new"]
    with pytest.raises(LoreEntryNotFound):
        await world.lore.restore(entry.id, 9, expected_version=4)


async def test_entries_match_by_their_keys_the_longest_key_first(world: World) -> None:
    await world.lore.add_many(
        [
            NewLoreEntry("the order", ["Order of the Lamp", "lamp"], book="b"),
            NewLoreEntry("lamps", ["lamp"], book="a"),
            NewLoreEntry("hidden", ["lamp"], enabled=False),
            NewLoreEntry("no keys"),
            NewLoreEntry("the island", ["Lamp"], case_sensitive=True, book="c"),
        ]
    )
    found = await world.lore.match("She joined the ORDER of the lamp.")

    assert [(each.entry.content, each.key) for each in found] == [("the order", "Order of the Lamp"), ("lamps", "lamp")]
    assert [each.entry.content for each in await world.lore.match("a Lamp")] == ["lamps", "the order", "the island"]
    assert [each.entry.content for each in await world.lore.match("a Lamp", books=["c", "b"], limit=1)] == ["the order"]
    assert await world.lore.match("lamplight") == ()


@pytest.mark.parametrize(
    ("text", "key", "case_sensitive", "found"),
    [
        ("Die Straße war leer", "STRASSE", False, True),
        ("Die Straße war leer", "STRASSE", True, False),
        ("cafe\u0301 at the pier", "Café", False, True),
        ("the sea-lamp burns", "lamp", False, True),
        ("lamps", "lamp", False, False),
        ("clamp, then a lamp", "lamp", False, True),
        ("lamp_1", "lamp", False, False),
        ("nai\u0308ve", "nai", False, False),
        ("C++ and C", "C++", True, True),
        ("it rains...", "...", False, True),
        ("the Old Lighthouse", " old lighthouse ", False, True),
        ("灯台の守り人", "灯台", False, False),
        ("", "lamp", False, False),
    ],
)
def test_a_key_stands_as_whole_words(text: str, key: str, found: bool, *, case_sensitive: bool) -> None:  # noqa: FBT001
    index = KeyIndex([EntryKeys(new_id(), "lore", 0, [key], case_sensitive)])
    assert (list(index.match(ScannedTexts([text]), None, 1).values()) == [key]) is found


async def test_bad_input_is_named_and_nothing_is_stored(world: World) -> None:
    unfit: list[dict[str, Any]] = [
        {"content": "\x00"},
        {"content": "x", "keys": ["a", ""]},
        {"content": "x", "keys": "lamp"},
        {"content": "x", "book": ""},
        {"content": "x", "position": "1"},
        {"content": "x", "enabled": 1},
        {"content": "x", "raw": []},
    ]
    for fields in unfit:
        with pytest.raises(InvalidInput):
            NewLoreEntry(**fields)
    entry = await world.lore.add(NewLoreEntry("x"))
    wrong: list[dict[str, Any]] = [{"raw": {}}, {"colour": 1}, {"position": True}]
    for bad in wrong:
        with pytest.raises(InvalidInput):
            await world.lore.update(entry.id, expected_version=1, **bad)
    for cursor in ("", "x", "WzFd", "WyJhIiwgInQiLCAieCJd"):
        with pytest.raises(InvalidCursor):
            await world.lore.list(after=cursor)
    with pytest.raises(LoreEntryNotFound):
        await world.lore.get(new_id())

    assert (await world.lore.list()).items == (entry,)
