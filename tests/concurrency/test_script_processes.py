"""Scripts in real processes: swapped everywhere, numbered once, and not held up by the dead."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from livingworld import World
from livingworld.errors import StillRunning
from livingworld.testing.staged_races import holding
from tests.concurrency.programs import PlayerProcess, running
from tests.concurrency.test_script_races import THE_SCRIPT, VERSIONS
from tests.support.patience import NEVER
from tests.support.turn_checks import rows, until_found

PROGRAM: Final = Path(__file__).with_name("script_program.py")
IT_LISTENS: Final = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
EXPIRE: Final = "UPDATE livingworld.script_executions SET expires_at = now() - interval '1 second'"
MOST_OF_THE_LEASE_GOES_BY: Final = """
    UPDATE livingworld.script_executions SET expires_at = expires_at - interval '48 minutes'
"""
RENEWED: Final = "SELECT FROM livingworld.script_executions WHERE expires_at > now() + interval '30 minutes'"


@pytest_asyncio.fixture
async def narrator(world: World) -> World:
    await world.scripts.publish("narrator", "v1")
    return world


def user(
    url: str, world: World, *, lease: float = 3600, poll: float = 0.1, deaf: bool = False
) -> AbstractAsyncContextManager[PlayerProcess]:
    return running(PROGRAM, url, world.id, lease, poll, "deaf" if deaf else "listening")


async def test_a_publication_is_in_service_in_another_process_without_polling(
    database_url: str, narrator: World
) -> None:
    async with user(database_url, narrator, poll=NEVER.total_seconds()) as one:
        await until_found(database_url, IT_LISTENS)
        one.say("serving 2")
        await narrator.scripts.publish("narrator", "v2")
        assert await one.hear() == "served"


async def test_where_nothing_is_heard_a_publication_is_in_service_by_polling(
    database_url: str, narrator: World
) -> None:
    async with user(database_url, narrator, poll=0.5, deaf=True) as one:
        await narrator.scripts.publish("narrator", "v2")
        assert await one.do("serving 2") == "served"


async def test_of_eight_publishers_in_each_of_two_processes_each_has_a_version_of_its_own(
    database_url: str, narrator: World
) -> None:
    async with user(database_url, narrator) as one, user(database_url, narrator) as other:
        async with holding(database_url, THE_SCRIPT, [narrator.id]) as holder:
            one.say("publish 8 one")
            other.say("publish 8 other")
            await holder.until_blocked(count=16)
        answers = [await one.hear(), await other.hear()]

    assert sorted(int(number) for line in answers for number in line.split()) == [*range(2, 18)]
    assert await rows(database_url, VERSIONS) == [(number,) for number in range(1, 18)]


async def test_a_process_that_was_killed_does_not_hold_up_a_retirement(database_url: str, narrator: World) -> None:
    async with user(database_url, narrator) as one:
        assert await one.do("use") == "1"
        await narrator.scripts.publish("narrator", "v2")
        await rows(database_url, MOST_OF_THE_LEASE_GOES_BY)
        await until_found(database_url, RENEWED)
        with pytest.raises(StillRunning) as refused:
            await narrator.scripts.retire("narrator", 1, timeout=timedelta(0))
        assert [each.pid for each in refused.value.executions] == [one._process.pid]
        await one.kill()
        await rows(database_url, EXPIRE)
        assert (await narrator.scripts.retire("narrator", 1)).state == "retired"

    assert await rows(database_url, "SELECT FROM livingworld.script_executions") == []


async def test_who_was_stopped_for_too_long_is_not_counted_in_again_when_thawed(
    database_url: str, narrator: World
) -> None:
    async with user(database_url, narrator) as one:
        assert await one.do("use") == "1"
        one.pause()
        await narrator.scripts.publish("narrator", "v2")
        await rows(database_url, EXPIRE)
        assert (await narrator.scripts.versions("narrator")).items[1].executions == ()
        one.thaw()
        await one.do("serving 2")
        assert await one.do("use") == "2"
        assert (await narrator.scripts.retire("narrator", 1, timeout=timedelta(0))).state == "retired"
        assert await one.do("leave") == "left"
        assert await one.do("leave") == "left"
    assert await rows(database_url, "SELECT FROM livingworld.script_executions") == []
