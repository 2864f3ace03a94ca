"""The leases of the turns that a process holds are renewed by one statement, and each is lost alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from livingworld import World
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.turns import holdings, renewals
from livingworld.story.turns.requests import Holding
from livingworld.testing.staged_races import holding
from tests.support.patience import patiently, until
from tests.support.staging import same_world
from tests.support.turn_checks import rows

SOON: Final = {"poll_interval": timedelta(seconds=0.05)}
TURNS: Final = 20
THE_LEASE: Final = "SELECT FROM livingworld.turn_leases WHERE world_id = $1 AND story_id = $2 FOR UPDATE"


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give how many leases each statement has renewed."""
    counts: list[int] = []

    async def counted(tx: Transaction, held: Sequence[Holding], length: timedelta) -> set[UUID]:
        owners = await holdings.renew_leases(tx, held, length)
        counts.append(len(owners))
        return owners

    monkeypatch.setattr(renewals, "renew_leases", counted)
    return counts


async def test_one_statement_renews_all_and_one_that_is_lost_or_locked_changes_nothing_for_the_others(
    database_url: str, world: World, renewed: list[int]
) -> None:
    async with same_world(database_url, world.id, pools=1, **SOON) as (quick,), AsyncExitStack() as stack:
        turns = []
        for number in range(TURNS):
            story = await quick.stories.create(f"{number}")
            turns.append((story, await stack.enter_async_context(quick.turns.take(story.id, request_key="k"))))
        await until(lambda: TURNS in renewed)

        lost_story, lost = turns[0]
        await rows(
            database_url, "UPDATE livingworld.turn_leases SET token = token + 1 WHERE story_id = $1", lost_story.id
        )
        async with holding(database_url, THE_LEASE, [world.id, turns[1][0].id]):
            renewed.clear()
            await until(lambda: TURNS - 2 in renewed)
        async with patiently():
            await lost.lost.wait()
        renewed.clear()
        await until(lambda: TURNS - 1 in renewed)
        assert not any(turn.lost.is_set() for _, turn in turns[1:])
