"""A call of several statements has one end, and calls inside a transaction end by the deadline that was given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from livingworld import NewScene, Story, World, deadline
from livingworld.deadlines import call_end
from livingworld.errors import CallTimeout, TransactionPoisoned
from livingworld.postgres.group_commit import group_commit
from livingworld.postgres.transactions import database
from livingworld.testing.staged_races import holding

NAMES = "LOCK TABLE livingworld.character_names IN ACCESS EXCLUSIVE MODE"
SOON = timedelta(milliseconds=300)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the moments at which the statements of this process have to be over, in seconds of the loop's clock."""
    seen: list[float] = []

    def noted(limit: timedelta) -> float:
        seen.append(call_end(limit))
        return seen[-1]

    for module in (database, group_commit):
        monkeypatch.setattr(module, "call_end", noted)
    return seen


async def test_the_statements_of_one_call_have_one_end(world: World, story: Story, ends: list[float]) -> None:
    await world.characters.get_or_create("M")
    await world.stories.append_scene(story.id, NewScene("y"), request_key="k")
    for call in (
        world.stories.append_scene(story.id, NewScene("x", cast=["A newcomer"])),
        world.stories.append_scene(story.id, NewScene("y"), request_key="k"),
        world.characters.get_or_create("Ivo"),
    ):
        ends.clear()
        await call
        # The statement of a group serves all who wait for it, and has an end of its own.
        assert ends.count(ends[0]) == 2


async def test_two_calls_have_an_end_each(world: World, story: Story, ends: list[float]) -> None:
    await world.stories.get(story.id)
    await world.stories.get(story.id)

    assert len(set(ends)) == 2


async def test_a_call_inside_a_transaction_ends_by_the_deadline_and_with_it_the_transaction(
    database_url: str, world: World, story: Story
) -> None:
    async with holding(database_url, "LOCK TABLE livingworld.stories IN ACCESS EXCLUSIVE MODE"):
        with pytest.raises(CallTimeout):
            async with world.transaction() as tx:
                with deadline(SOON):
                    await tx.stories.get(story.id)

    assert (await world.stories.get(story.id)).title == story.title


async def test_a_transaction_whose_call_was_cut_off_is_not_committed(world: World, story: Story) -> None:
    with pytest.raises(TransactionPoisoned):
        async with world.transaction() as tx:
            await tx.stories.update(story.id, expected_version=1, title="Never")
            with deadline(SOON), pytest.raises(CallTimeout):
                await tx._transaction.execute(text("SELECT pg_sleep(600)"))

    assert (await world.stories.get(story.id)).version == 1
