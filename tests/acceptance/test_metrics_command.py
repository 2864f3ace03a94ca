"""`livingworld metrics` shows what the catalogue of the database knows."""

from __future__ import annotations

import asyncio
import json

from livingworld import World
from tests.support.command import run_command


async def test_it_shows_sessions_and_tables(world: World, database_url: str) -> None:
    run = await asyncio.to_thread(run_command, "metrics", "--json", database_url=database_url)
    shown = json.loads(run.stdout)

    assert sum(each["sessions"] for each in shown["sessions"]) >= 2, "the test's own, and the command's"
    tables = {each["name"]: each for each in shown["tables"]}
    assert {"worlds", "scenes", "turn_waiters", "actions"} <= tables.keys()
    assert tables["worlds"]["bytes"] > 0
    run = await asyncio.to_thread(run_command, "metrics", database_url=database_url)
    assert "worlds: about " in run.stdout
