"""One role served by two real processes: what one promotes the other serves, notified at once, or found by polling."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import pytest

from livingworld import World
from tests.concurrency.programs import PlayerProcess, running
from tests.support.model_staging import promoted
from tests.support.patience import NEVER
from tests.support.turn_checks import until_found

PROGRAM: Final = Path(__file__).with_name("model_program.py")
IT_LISTENS: Final = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


def server(
    url: str, world: World, *, poll: float = 0.1, listens: bool = True
) -> AbstractAsyncContextManager[PlayerProcess]:
    return running(PROGRAM, url, world.id, poll, "listens" if listens else "deaf")


@pytest.mark.parametrize("listens", [True, False], ids=["notified", "polling"])
async def test_what_one_process_promotes_another_serves(database_url: str, world: World, *, listens: bool) -> None:
    await promoted(world, "a")
    poll = NEVER.total_seconds() if listens else 0.25
    async with (
        server(database_url, world) as one,
        server(database_url, world, poll=poll, listens=listens) as other,
    ):
        assert [await each.do("ask") for each in (one, other)] == ["a", "a"]
        if listens:
            await until_found(database_url, f"{IT_LISTENS} HAVING count(*) = 2")
        for command, said, name in (("promote b", "promoted b", "b"), ("rollback", "a", "a")):
            assert await one.do(command) == said
            assert await other.do(f"until {name}") == "at last"
            assert await one.do(f"until {name}") == "at last"
        assert [await each.do("closed") for each in (one, other)] == ["a b", "a b"]


async def test_of_two_processes_that_promote_at_once_both_come_to_serve_the_last(
    database_url: str, world: World
) -> None:
    await promoted(world, "a")
    async with server(database_url, world) as one, server(database_url, world) as other:
        assert [await each.do("ask") for each in (one, other)] == ["a", "a"]
        one.say("promote b")
        other.say("promote c")
        assert [await each.hear() for each in (one, other)] == ["promoted b", "promoted c"]
        last = await world.ai_models.active("narrator")
        assert last.activation == 3
        assert [await each.do(f"until {last.name}") for each in (one, other)] == ["at last"] * 2
