"""The lists of stories: three orders, by status, with words, archived or not, in pages that fit together."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any, Final, get_args

import pytest

from livingworld import LivingWorld, NewScene, Page, Story, World
from livingworld.errors import InvalidCursor, InvalidInput
from livingworld.story.stories.records import Status, StoryOrder
from tests.support.aftermath import engine_of
from tests.support.row_comparisons import unbounded_comparisons
from tests.support.sent_statements import sent_statements

ORDERS: Final[tuple[StoryOrder, ...]] = get_args(StoryOrder)
STATUSES: Final[tuple[Status | None, ...]] = (None, *get_args(Status))


async def all_pages(world: World, limit: int, **options: Any) -> list[Story]:  # noqa: ANN401 - of a list
    found: list[Story] = []
    page: Page[Story] = Page((), "")
    while page.next is not None:
        page = await world.stories.list(limit=limit, after=page.next or None, **options)
        assert len(page.items) <= limit
        found += page.items
    return found


def wanted(
    stories: Sequence[Story], order: str, status: str | None, word: str | None, *, archived: bool
) -> list[Story]:
    """Return what a list has to show, found out in Python."""
    keys: dict[str, Any] = {
        "created": lambda story: (story.created_at, story.id),
        "played": lambda story: (story.last_scene_at or story.created_at, story.id),
        "title": lambda story: (story.title, story.id),
    }
    shown = [
        story
        for story in stories
        if (status is None or story.status == status)
        and (archived or story.archived_at is None)
        and (word is None or word in f"{story.title} {story.premise}".lower().split())
    ]
    return sorted(shown, key=keys[order], reverse=order != "title")


async def a_library(world: World) -> list[Story]:
    """Return stories in every state, some of them played, in another order than they were made."""
    chance = random.Random(7)
    stories = [
        await world.stories.create(f"{chance.choice(['lantern', 'tide'])} {number % 5}", premise=f"fog {number % 3}")
        for number in range(24)
    ]
    for number, story in enumerate(stories):
        if number % 3:
            await world.stories.update(story.id, expected_version=1, status=("paused", "completed")[number % 2])
    for story in chance.sample(stories, 10):
        await world.stories.append_scene(story.id, NewScene("Fog."))
    for story in stories[::5]:
        await world.stories.archive(story.id)
    return [await world.stories.get(story.id) for story in stories]


async def test_every_list_is_the_one_that_a_sort_in_memory_gives(world: World) -> None:
    stories = await a_library(world)

    for order, status, word, archived in itertools.product(ORDERS, STATUSES, (None, "lantern", "2"), (False, True)):
        options = {"order": order, "status": status, "search": word, "include_archived": archived}
        found = await all_pages(world, 3, **options)
        assert found == wanted(stories, order, status, word, archived=archived), options


async def test_the_story_that_was_played_last_comes_first(world: World) -> None:
    first, second, third = [await world.stories.create(title) for title in ("one", "two", "three")]
    await world.stories.append_scene(first.id, NewScene("Fog."))
    await world.stories.append_scene(second.id, NewScene("Fog."))
    await world.stories.update(third.id, expected_version=1, premise="changed, not played")
    await world.branches.undo(first.id)
    listed = (await world.stories.list(order="played")).items

    assert [story.title for story in listed] == ["one", "two", "three"]
    assert listed[0].last_scene_at == listed[0].updated_at
    assert listed[2].last_scene_at is None
    async with world.transaction() as tx:
        await tx.stories.append_scene(third.id, NewScene("Fog."))
        assert [story.title for story in (await tx.stories.list(order="played")).items] == ["three", "one", "two"]


async def test_a_purged_story_is_in_no_list(world: World) -> None:
    kept, gone = [await world.stories.create(title) for title in ("kept", "gone")]
    await world.stories.append_scene(gone.id, NewScene("Fog."))
    await world.stories.purge(gone.id)

    for order in ORDERS:
        assert (await world.stories.list(order=order)).items == (kept,)


async def test_what_is_no_order_no_status_and_no_cursor_is_refused_by_name(world: World) -> None:
    await world.stories.create("one")
    await world.stories.create("two")
    page = await world.stories.list(order="title", limit=1)
    for field, options in (
        ("order", {"order": "best"}),
        ("status", {"status": "lost"}),
        ("search", {"search": " "}),
        ("include_archived", {"include_archived": 1}),
    ):
        with pytest.raises(InvalidInput) as refused:
            await world.stories.list(**options)
        assert refused.value.field == field
    with pytest.raises(InvalidCursor):
        await world.stories.list(order="played", after=page.next)


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
async def test_the_lists_read_no_further_than_their_answer(
    livingworld: LivingWorld, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sent_statements(monkeypatch, engine_of(livingworld))
    for order, search in itertools.product(ORDERS, (None, "fog")):
        await world.stories.list(order=order, search=search)

    assert len(sent) == 6
    assert {statement: found for statement in sent if (found := unbounded_comparisons(statement))} == {}
