"""What a group of commits leaves to a statement of its own: the second of one story, and what locks names."""

from __future__ import annotations

from livingworld import NewScene, Story, World
from livingworld.identifiers import new_id
from livingworld.postgres.group_commit.requests import NotTried
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.characters.cast import newcomer_rows
from livingworld.story.turns.attempt import Attempt
from livingworld.story.turns.outcomes import AlreadyStored, CommitOutcome, Committed, Granted
from livingworld.story.turns.requests import CommitRequest
from livingworld.story.turns.writing import commit_turns
from tests.concurrency.turn_situations import decide, request

DEFERRED = NotTried(is_locked=False)


async def taken(world: World, story: Story, scene: NewScene) -> CommitRequest:
    """Take a turn, and return what commits it."""
    (granted,) = await decide(world, request(story))
    assert isinstance(granted, Granted)
    return CommitRequest(
        holding=granted.holding,
        scene=scene,
        cast=tuple(newcomer_rows(world.id, scene.members)),
        raw_response=None,
        spare_id=new_id(),
        generation=Attempt().as_json(),
        state=None,
    )


async def commit(world: World, *requests: CommitRequest) -> list[CommitOutcome | NotTried]:
    """Commit turns by one statement that waits for nothing."""

    async def together(tx: Transaction) -> list[CommitOutcome | NotTried]:
        return await commit_turns(tx, requests, wait=False)

    return await world.turns._services.unit.write_idempotent(together)


async def test_a_commit_that_is_twice_in_a_group_is_stored_and_then_answered_with_what_is_stored(
    world: World, story: Story
) -> None:
    twice = await taken(world, story, NewScene("x"))

    first, second = await commit(world, twice, twice)
    (again,) = await commit(world, twice)

    assert isinstance(first, Committed)
    assert second == DEFERRED
    assert isinstance(again, AlreadyStored)
    assert again.scene_number == first.scene.number == 1


async def test_a_group_makes_no_character_and_stores_the_other_turns(world: World, story: Story) -> None:
    other = await world.stories.create("Another one")
    with_a_newcomer = await taken(world, story, NewScene("x", cast=["Mara"]))

    left, stored = await commit(world, with_a_newcomer, await taken(world, other, NewScene("x")))

    assert left == DEFERRED
    assert isinstance(stored, Committed)
    assert await world.characters.find("Mara") is None
    assert (await world.stories.get(story.id)).scene_count == 0
