"""Every call on a cluster: LIVINGWORLD_CITUS_URL names a database that `livingworld db distribute` has distributed."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest

from livingworld import LivingWorld, World
from livingworld.errors import DatabaseFailure, LivingWorldError, LockTimeout, SchemaNotReady, Unavailable
from livingworld.postgres.distribution.distributing import standing
from livingworld.schema import metadata
from livingworld.settings.settings import Settings
from livingworld.story.worlds.isolation import isolate
from livingworld.testing.staged_races import connected
from tests.integration import test_distributed_statements as calls
from tests.integration.distributed_actions import use_actions
from tests.integration.distributed_ai_models import use_ai_models
from tests.integration.distributed_coordination import use_cycles, use_locks_and_leases, use_sessions
from tests.integration.distributed_live import use_live
from tests.integration.distributed_scripts import use_scripts
from tests.support.every_call import CALLS, carry_out
from tests.support.every_write import furnish
from tests.support.isolated import SOON

URL = os.environ.get("LIVINGWORLD_CITUS_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="LIVINGWORLD_CITUS_URL names no distributed database")

#: With all that it may leave out left out.
APPEND = f"SELECT * FROM livingworld.append_scenes_v1($1, true, true, $2, NULL, NULL, $3{', NULL' * 9})"  # noqa: S608
MEMORY = "SELECT CAST(sum(total_bytes) AS bigint) FROM pg_backend_memory_contexts"
OF_A_WORLD = [
    *(calls.use_turns_and_branches, calls.use_world_state, calls.use_lore_and_search, calls.use_embeddings),
    *(calls.use_documents, use_locks_and_leases, use_cycles, use_sessions, use_scripts, use_actions, use_ai_models),
    use_live,
]


async def test_the_database_is_whole() -> None:
    found = await standing(URL, metadata, Settings.load(database_url=URL))

    assert found.is_distributed
    assert found.missing == ()


@pytest.mark.parametrize("use", OF_A_WORLD, ids=lambda use: use.__name__)
async def test_every_call_of_a_world_runs(use: Callable[[World], Awaitable[None]]) -> None:
    async with LivingWorld.open(database_url=URL) as livingworld:
        await use(await livingworld.worlds.create("Saltmarsh"))


async def test_every_call_of_worlds_characters_and_transactions_runs() -> None:
    async with LivingWorld.open(database_url=URL) as livingworld:
        await calls.use_characters_and_transactions(livingworld, await livingworld.worlds.create("Saltmarsh"))


async def test_row_level_security_is_refused_by_name() -> None:
    with pytest.raises(DatabaseFailure, match="row-level security"):
        await isolate(URL, on=True, lock_timeout=SOON)


async def test_a_session_that_goes_on_appending_needs_no_more_memory() -> None:
    """A release of Citus that keeps the plan of every call adds some 0.5 MB with each."""
    async with LivingWorld.open(database_url=URL) as livingworld, connected(URL) as session:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        append = await session.prepare(APPEND)
        sizes = []
        for _ in range(3):
            for _ in range(50):
                await append.fetch(world.id, [story.id], ["The water rose."])
            sizes.append(await session.fetchval(MEMORY))

    assert sizes[-1] < 1.2 * sizes[0]


async def test_every_call_that_there_is_runs() -> None:
    """Each on the world of the call before it, and once more on a fresh one when that refuses it."""
    failed: dict[str, str] = {}
    async with LivingWorld.open(database_url=URL) as livingworld:
        there = await furnish(livingworld)
        for path, call in CALLS.items():
            for _ in range(2):
                try:
                    await carry_out(call, {}, there)
                except (DatabaseFailure, SchemaNotReady, Unavailable, LockTimeout) as error:
                    failed[path] = repr(error.__cause__ or error)
                    there = await furnish(livingworld)
                except LivingWorldError:  # refused for what is there
                    there = await furnish(livingworld)
                except TimeoutError:  # it waits for somebody else, and has asked
                    break
                else:
                    failed.pop(path, None)
                    break

    assert failed == {}
