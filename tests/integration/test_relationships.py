"""Relationships: clamped, counted, and explained by their ledger on every path."""

from __future__ import annotations

from uuid import UUID

import pytest
import pytest_asyncio

from livingworld import LedgerEntry, NewScene, Relationship, RelationshipChange, Story, World
from livingworld.errors import CharacterNotFound, InvalidInput, StoryNotFound
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import connected


@pytest_asyncio.fixture
async def pair(world: World) -> tuple[UUID, UUID]:
    (mara, _), (tom, _) = await world.characters.get_or_create_many(["Mara", "Tom"])
    return mara.id, tom.id


def replayed(ledger: tuple[LedgerEntry, ...]) -> tuple[float, float, float]:
    """Add up and clamp a ledger, one change after the other."""
    sentiment = trust = familiarity = 0.0
    for entry in ledger:
        sentiment = max(-1.0, min(1.0, sentiment + entry.sentiment_delta))
        trust = max(-1.0, min(1.0, trust + entry.trust_delta))
        familiarity = max(0.0, min(1.0, familiarity + entry.familiarity_delta))
        felt = entry.relationship
        assert (felt.sentiment, felt.trust, felt.familiarity) == (sentiment, trust, familiarity)
    return sentiment, trust, familiarity


async def test_changes_add_up_are_clamped_and_counted(world: World, story: Story, pair: tuple[UUID, UUID]) -> None:
    await world.relationships.adjust(story.id, *pair, trust=-0.2, reason="the broken lantern")
    await world.relationships.adjust(story.id, *pair, trust=-1.5, familiarity=0.4, kind="rival")
    felt = await world.relationships.adjust(story.id, *pair, sentiment=0.1, trust=0.3, familiarity=-2)

    assert (felt.sentiment, felt.trust, felt.familiarity, felt.kind) == (0.1, -0.7, 0.0, "rival")
    assert (felt.changes, felt.version, felt.scene_number) == (3, 3, 0)
    assert await world.relationships.between(story.id, *pair) == felt
    assert await world.relationships.between(story.id, *reversed(pair)) is None
    ledger = await world.relationships.ledger(story.id, *pair)
    assert [entry.reason for entry in ledger] == ["the broken lantern", None, None]
    assert replayed(ledger) == (0.1, -0.7, 0.0)


async def test_undo_takes_changes_back_and_a_fork_goes_its_own_way(
    world: World, story: Story, pair: tuple[UUID, UUID]
) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    at_one = await world.relationships.adjust(story.id, *pair, trust=0.5)
    await world.stories.append_scene(story.id, NewScene("two"))
    at_two = await world.relationships.adjust(story.id, *pair, trust=0.25)
    fork = await world.branches.fork(story.id, "fork", at=1)
    await world.stories.append_scene(story.id, NewScene("two, otherwise"), branch=fork.number)
    on_fork = await world.relationships.adjust(story.id, *pair, trust=-1, branch=fork.number)

    assert (at_two.trust, on_fork.trust, on_fork.changes) == (0.75, -0.5, 2)
    assert await world.relationships.between(story.id, *pair, as_of=1) == at_one
    await world.branches.undo(story.id)
    assert await world.relationships.of(story.id, pair[0]) == (at_one,)
    await world.branches.undo(story.id)
    assert await world.relationships.graph(story.id) == ()


async def test_a_change_in_the_past_is_counted_by_what_comes_after_it(
    world: World, story: Story, pair: tuple[UUID, UUID]
) -> None:
    for number in range(1, 4):
        await world.stories.append_scene(story.id, NewScene(f"{number}"))
        await world.relationships.adjust(story.id, *pair, trust=0.5)
    fork = await world.branches.fork(story.id, "fork", at=2)
    await world.stories.append_scene(story.id, NewScene("three, otherwise"), branch=fork.number)
    await world.relationships.adjust(story.id, *pair, trust=0.25, branch=fork.number)
    await world.branches.rewind(story.id, 1)
    now = await world.relationships.adjust(story.id, *pair, trust=-1)
    await world.branches.redo(story.id, 2)

    assert (now.trust, now.changes) == (-0.5, 2)
    for place, trust in {"1": -0.5, "2": 0.0, "3": 0.5, "4": 0.25}.items():
        felt = await world.relationships.between(story.id, *pair, as_of=int(place))
        assert felt is not None
        assert felt.trust == trust, place
        assert replayed(await world.relationships.ledger(story.id, *pair, as_of=int(place)))[1] == trust


async def test_several_changes_are_carried_out_one_after_the_other(
    world: World, story: Story, pair: tuple[UUID, UUID]
) -> None:
    mara, tom = pair
    changes = [
        RelationshipChange(mara, tom, trust=1),
        RelationshipChange(tom, mara, sentiment=-0.5),
        RelationshipChange(mara, tom, trust=1, kind="sister"),
        RelationshipChange(mara, tom, trust=-0.25),
    ]
    felt = await world.relationships.adjust_many(story.id, changes)

    assert [(each.trust, each.sentiment, each.changes) for each in felt] == [
        (1, 0, 1),
        (0, -0.5, 1),
        (1, 0, 2),
        (0.75, 0, 3),
    ]
    graph = await world.relationships.graph(story.id)
    assert {(each.source, each.target) for each in graph} == {(mara, tom), (tom, mara)}
    assert await world.relationships.adjust_many(story.id, []) == ()


async def test_what_cannot_be_is_refused_and_nothing_is_written(
    world: World, story: Story, pair: tuple[UUID, UUID]
) -> None:
    mara, tom = pair
    for bad in ({"trust": 2.5}, {"trust": float("nan")}, {"sentiment": True}, {"kind": "\x00"}, {"reason": 7}):
        with pytest.raises(InvalidInput):
            await world.relationships.adjust(story.id, mara, tom, **bad)
    with pytest.raises(InvalidInput):
        await world.relationships.adjust(story.id, mara, mara, trust=1)
    with pytest.raises(CharacterNotFound):
        await world.relationships.adjust_many(
            story.id, [RelationshipChange(mara, tom, trust=1), RelationshipChange(mara, new_id(), trust=1)]
        )
    with pytest.raises(StoryNotFound):
        await world.relationships.graph(new_id())

    assert await world.relationships.graph(story.id) == ()


async def test_postgres_refuses_a_value_out_of_range(
    database_url: str, world: World, story: Story, pair: tuple[UUID, UUID]
) -> None:
    felt: Relationship = await world.relationships.adjust(story.id, *pair, trust=1)
    async with connected(database_url) as connection:
        for column, value in (("trust", 1.01), ("sentiment", -1.01), ("familiarity", -0.01)):
            with pytest.raises(Exception, match=f"ck_relationship_changes_{column}_clamped"):
                await connection.execute(f"UPDATE livingworld.relationship_changes SET {column} = {value}")  # noqa: S608
    assert await world.relationships.between(story.id, *pair) == felt
