"""Race 2 again, for a role whose transactions are REPEATABLE READ unless somebody says otherwise."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import make_url

from livingworld import LivingWorld, NewScene, Settings, Story, World
from livingworld.testing.staged_races import connected
from tests.support.staging import THE_STORY, GaveUp, race
from tests.support.story_checks import broken_promises, read_path

PRIVILEGES = (
    "GRANT USAGE ON SCHEMA livingworld TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA livingworld TO {role}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA livingworld TO {role}",
)


@dataclass(frozen=True)
class Role:
    name: str
    url: str


@pytest.fixture
async def role(database_url: str) -> AsyncIterator[Role]:
    """Give a role that is no superuser and owns nothing, so it is what an application would connect as."""
    name, password = f"livingworld_test_{secrets.token_hex(6)}", secrets.token_hex(12)
    async with connected(database_url) as owner:
        await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        try:
            for privilege in PRIVILEGES:
                await owner.execute(privilege.format(role=name))
            await owner.execute(f"ALTER ROLE {name} SET default_transaction_isolation = 'repeatable read'")
            url = make_url(database_url).set(username=name, password=password)
            yield Role(name, url.render_as_string(hide_password=False))
        finally:
            await owner.execute(f"DROP OWNED BY {name}")
            await owner.execute(f"DROP ROLE {name}")


@pytest.fixture(params=[False, True], ids=["own startup parameters", "behind a pooler"])
async def pinned_world(request: pytest.FixtureRequest, role: Role, world: World) -> AsyncIterator[World]:
    """Give the world as this role, in a pool of twelve."""
    settings = Settings.load(database_url=role.url, pool_size=20, behind_pooler=request.param)
    async with LivingWorld.open(settings) as livingworld:
        yield await livingworld.worlds.get(world.id)


async def append(world: World, story_id: UUID, number: int) -> None:
    async with world.transaction() as tx:
        await tx.stories.append_scene(story_id, NewScene(f"scene of {number}"))
        if number % 4 == 0:
            raise GaveUp


async def test_the_roles_default_is_what_it_should_be(role: Role) -> None:
    async with connected(role.url) as connection:
        assert await connection.fetchval("SHOW transaction_isolation") == "repeatable read"
        assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


async def test_twelve_appends_in_transactions_leave_one_to_nine(
    database_url: str, pinned_world: World, story: Story
) -> None:
    appends = [append(pinned_world, story.id, number) for number in range(12)]
    results = await race(database_url, THE_STORY, [pinned_world.id, story.id], appends, blocked=12)

    assert sum(result is None for result in results) == 9, results
    assert await read_path(pinned_world, story.id, 1) == list(range(1, 10))
    assert await broken_promises(database_url, pinned_world.id, story.id) == []


async def test_single_appends_and_updates_wait_and_then_see_what_they_waited_for(
    database_url: str, pinned_world: World, story: Story
) -> None:
    key = [pinned_world.id, story.id]

    async def contend() -> None:
        await asyncio.gather(
            pinned_world.stories.append_scene(story.id, NewScene("one")),
            pinned_world.stories.update(story.id, expected_version=1, title="Changed"),
        )

    (result,) = await race(database_url, THE_STORY, key, [contend()], blocked=2)

    assert result is None
    assert (await pinned_world.stories.get(story.id)).scene_count == 1
    assert await broken_promises(database_url, pinned_world.id, story.id) == []


@pytest.mark.one_server("Citus reads at READ COMMITTED on the node of the world, whatever the session says")
@pytest.mark.all_worlds("its role has transactions of its own, which say no world")
async def test_read_under_the_lock_without_the_pin_still_sees_the_past(
    database_url: str, role: Role, world: World, story: Story
) -> None:
    """The naive version: the same lock-then-read, in the isolation that the role brings."""
    key = (world.id, story.id)
    count = "SELECT count(*) FROM livingworld.scenes WHERE world_id = $1 AND story_id = $2"
    async with connected(role.url) as reader, reader.transaction():
        await reader.fetchval("SELECT 1")
        await world.stories.append_scene(story.id, NewScene("stored meanwhile"))
        await reader.execute("SELECT pg_advisory_xact_lock(1)")
        seen_under_the_lock = await reader.fetchval(count, *key)

    assert seen_under_the_lock == 0, "one scene is stored"
