"""`livingworld locks` shows holder, waiter, story and turn to a person and to a program."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from livingworld import LivingWorld, Settings
from livingworld.testing.staged_races import holding
from tests.support.command import run_command, start_command
from tests.support.patience import NEVER
from tests.support.staging import THE_STORY, stop


@asynccontextmanager
async def waiting(url: str) -> AsyncIterator[dict[str, object]]:
    """Stage a wait for a story of which a turn is held, and give what there is to be seen."""
    limits = {"lock_timeout": NEVER, "statement_timeout": 2 * NEVER, "command_timeout": 3 * NEVER}
    async with LivingWorld.open(Settings.load(database_url=url, **limits)) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        async with (
            world.turns.take(story.id, request_key="r1", player="Mara"),
            holding(url, THE_STORY, [world.id, story.id]) as holder,
        ):

            async def lock() -> None:
                async with world.transaction() as tx:
                    await tx.locks.exclusive("tide")
                    await tx.stories.lock(story.id)

            task = asyncio.create_task(lock())
            (waiter,) = await holder.until_blocked()
            yield {"holder": holder.pid, "waiter": waiter, "story": str(story.id), "world": str(world.id)}
            await stop([task])


@pytest.mark.one_server("the report on contention sees the sessions of the node that is asked")
@pytest.mark.as_owner("nobody else sees what a session of the owner does")
def test_a_staged_wait_is_shown_with_holder_waiter_story_and_turn(database_url: str) -> None:
    async def staged() -> tuple[dict[str, object], str, str]:
        async with waiting(database_url) as there:
            asked = [["locks", "--json"], ["locks"]]
            told = [await asyncio.to_thread(run_command, *each, database_url=database_url) for each in asked]
            assert [(each.returncode, each.stderr) for each in told] == [(0, "")] * 2
            return there, told[0].stdout, told[1].stdout

    there, as_json, lines = asyncio.run(staged())

    report = json.loads(as_json)
    assert report["chains"] == [{"root": there["holder"], "waiting": [there["waiter"]]}]
    (waiter,) = [each for each in report["sessions"] if each["pid"] == there["waiter"]]
    assert waiter["waits_for"]["story_id"] == there["story"]
    assert (waiter["waits_for"]["kind"], waiter["world_id"]) == ("story", there["world"])
    (turn,) = report["turns"]
    assert (turn["story_id"], turn["request_key"], turn["player"]) == (there["story"], "r1", "Mara")
    # A renewal of the turn may be seen beside them.
    (chain,) = [line for line in lines.splitlines() if f"<- {there['waiter']} waits " in line]
    (held,) = [line for line in lines.splitlines() if line.startswith("turn ")]
    assert chain.startswith(f"story {there['story']} of world {there['world']}: {there['holder']} idle in transaction")
    assert held.startswith(f"turn 'r1' of story {there['story']}, branch 1: held ")
    assert held.endswith("player 'Mara'")


def test_where_nobody_holds_anything_it_says_so(database_url: str) -> None:
    told = run_command("locks", database_url=database_url)

    assert (told.returncode, told.stdout, told.stderr) == (0, "nobody holds a lock or a turn\n", "")


def test_it_is_shown_again_and_again_until_ctrl_c(database_url: str) -> None:
    with start_command("locks", "--watch", "--every", "0.1", "--json", database_url=database_url) as process:
        assert process.stdout is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate()

    assert [look["sessions"] for look in looks] == [[], []]
    assert (process.returncode, complaint) == (130, "")
