"""Pruning removes what is old and nothing else, waits for nobody, and holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
import pytest_asyncio

from livingworld import LivingWorld, Missed, NewScene, Pruned, Session, Settings, Story, World
from livingworld.app import pruning
from livingworld.errors import ActionNotFound, InteractionNotFound, InvalidInput, InvalidSettings
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import holding
from tests.support.live_checks import numbers, take
from tests.support.patience import patiently, until
from tests.support.staging import same_world
from tests.support.turn_checks import rows

DAY: Final = timedelta(days=1)
KEPT: Final = {f"keep_{name}": DAY for name in ("embeddings", "request_keys", "events", "actions", "interactions")}
A_YEAR_GOES_BY: Final = (
    "UPDATE livingworld.embedding_cache SET created_at = created_at - interval '1 year'",
    "UPDATE livingworld.request_keys SET created_at = created_at - interval '1 year'",
    "UPDATE livingworld.live_events SET created_at = created_at - interval '1 year'",
    "UPDATE livingworld.actions SET ended_at = ended_at - interval '1 year'",
    "UPDATE livingworld.interactions SET created_at = created_at - interval '1 year'",
)
NOT_FOLLOWED: Final = "UPDATE livingworld.live_streams SET followed_until = now() - interval '1 second'"
MANY_KEYS: Final = """
    INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result, created_at)
    SELECT $1, $1, 'key ' || n, decode(repeat('00', 32), 'hex'), 'null', now() - interval '1 year'
    FROM generate_series(1, 5000) AS n RETURNING 1
"""
ALL_KEYS: Final = "SELECT FROM livingworld.request_keys FOR NO KEY UPDATE"


@pytest_asyncio.fixture
async def livingworld(database_url: str) -> AsyncIterator[LivingWorld]:
    """Give a LivingWorld that keeps everything for a day."""
    async with LivingWorld.open(Settings.load(database_url=database_url, **KEPT)) as opened:
        yield opened


@pytest_asyncio.fixture
async def session(world: World) -> Session:
    return await world.sessions.open()


async def use(world: World, story: Story, session: Session, key: str) -> None:
    """Leave one of everything that is pruned."""
    await world.embeddings(HashingEmbedder(8)).embed([key])
    await world.stories.append_scene(story.id, NewScene(key), request_key=key)
    await world.actions.enqueue(key, "walk")
    (action,) = await world.actions.claim()
    await world.actions.complete(action)
    await world.interactions.add(session.id, key)


async def a_year_goes_by(url: str) -> None:
    for statement in A_YEAR_GOES_BY:
        await rows(url, f"{statement} RETURNING 1")


async def test_what_is_old_is_removed_and_the_rest_stays(
    database_url: str, livingworld: LivingWorld, world: World, story: Story, session: Session
) -> None:
    async with world.live.subscribe(story=story.id) as events:
        await use(world, story, session, "old")
        await world.actions.enqueue("old", "wait")  # has not ended, however old it is
        await a_year_goes_by(database_url)
        await use(world, story, session, "new")
        assert await numbers(events, 2) == [1, 2]

        assert await livingworld.prune() == Pruned(embeddings=1, request_keys=1, events=1, actions=1, interactions=1)
        assert (await livingworld.prune()).total == 0
        async with world.live.subscribe(story=story.id, after=0) as late:
            missed, event = await take(late, 2)
    assert isinstance(missed, Missed)
    assert (missed.number, event.number) == (1, 2)
    assert [each.request for each in await world.interactions.recent(session.id)] == ["new"]
    assert (await world.interactions.add(session.id, "next")).number == 3
    assert [each.kind for each in (await world.actions.commands("old")).items] == ["wait"]
    again = await world.stories.append_scene(story.id, NewScene("new"), request_key="new")
    assert again.number == 2


async def test_events_without_a_follower_go_at_once_and_what_is_never_removed_stays(
    database_url: str, world: World, story: Story, session: Session
) -> None:
    async with world.live.subscribe(story=story.id):
        await use(world, story, session, "old")
    await rows(database_url, f"{NOT_FOLLOWED} RETURNING 1")
    settings = Settings.load(database_url=database_url, keep_actions=None, keep_embeddings="never")
    async with LivingWorld.open(settings) as livingworld:
        assert await livingworld.prune() == Pruned(events=1)
        await a_year_goes_by(database_url)
        assert await livingworld.prune() == Pruned(request_keys=1)  # interactions are kept by default


async def test_a_row_that_is_held_is_left_and_waited_for_by_nobody(
    database_url: str, livingworld: LivingWorld, world: World, story: Story, session: Session
) -> None:
    await use(world, story, session, "old")
    await a_year_goes_by(database_url)
    async with holding(database_url, ALL_KEYS), patiently():
        assert (await livingworld.prune()).request_keys == 0
    assert (await livingworld.prune()).request_keys == 1


async def test_a_stream_that_is_held_is_left_and_waited_for_by_nobody(
    database_url: str, livingworld: LivingWorld, world: World, story: Story, session: Session
) -> None:
    async with world.live.subscribe(story=story.id):
        await use(world, story, session, "old")
    await rows(database_url, f"{NOT_FOLLOWED} RETURNING 1")
    async with holding(database_url, "SELECT FROM livingworld.live_streams FOR NO KEY UPDATE", []), patiently():
        assert (await livingworld.prune()).events == 0
    assert (await livingworld.prune()).events == 1


async def test_processes_that_prune_at_once_remove_each_row_once_and_a_few_at_a_time(
    database_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_BATCH", 100)
    await rows(database_url, MANY_KEYS, world.id)
    async with same_world(database_url, world.id, pools=3) as worlds:
        async with holding(database_url, "LOCK TABLE livingworld.request_keys", []) as holder:
            pruning_at_once = [asyncio.create_task(prune(each)) for each in worlds]
            await holder.until_blocked(count=3)
        found = await asyncio.gather(*pruning_at_once)
    assert sum(each.request_keys for each in found) == 5000
    assert all(each.request_keys for each in found)


async def prune(world: World) -> Pruned:
    """Prune as the process of this world."""
    process = world._shared.services
    return await pruning.Pruning(process.background._database, process.settings).prune()


async def test_the_service_prunes_at_its_begin(database_url: str, livingworld: LivingWorld, world: World) -> None:
    await rows(database_url, MANY_KEYS, world.id)

    async def gone() -> bool:
        return not await rows(database_url, "SELECT FROM livingworld.request_keys")

    async with livingworld.pruning():
        await until(gone)


async def test_an_exchange_that_is_removed_while_it_is_changed_is_not_found(
    database_url: str, world: World, session: Session
) -> None:
    await world.interactions.add(session.id, "old")
    async with holding(database_url, "DELETE FROM livingworld.interactions", commit=True) as holder:
        change = asyncio.create_task(world.interactions.update(session.id, 1, response="late"))
        await holder.until_blocked()
    with pytest.raises(InteractionNotFound):
        await change


async def test_an_action_that_is_removed_while_its_worker_completes_it_is_not_found(
    database_url: str, world: World
) -> None:
    await world.actions.enqueue("mara", "walk")
    (action,) = await world.actions.claim()
    both = "WITH lane AS (SELECT FROM livingworld.lanes FOR NO KEY UPDATE) SELECT count(*) FROM lane"
    async with holding(database_url, both, commit=True) as holder:
        completion = asyncio.create_task(world.actions.complete(action))
        await holder.until_blocked()
        await rows(database_url, "DELETE FROM livingworld.actions RETURNING 1")
    with pytest.raises(ActionNotFound):
        await completion


@pytest.mark.parametrize("wrong", ["PT1M", "-1", "for ever"])
def test_a_time_that_is_too_short_or_none_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidSettings, match="keep_actions"):
        Settings.load(keep_actions=wrong)


async def test_a_pause_of_nothing_is_refused(livingworld: LivingWorld) -> None:
    with pytest.raises(InvalidInput, match="every"):
        async with livingworld.pruning(every=timedelta(0)):
            pass
