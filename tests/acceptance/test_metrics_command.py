"""`livingworld metrics` shows what the catalogue of the database knows."""

from __future__ import annotations

import asyncio
import json

import pytest

from livingworld import World
from tests.support.command import run_command
from tests.support.metrics_listing import families_of, refuse_unlisted


@pytest.mark.direct_connection("sessions of the server are counted")
async def test_it_shows_sessions_and_tables(world: World, database_url: str) -> None:
    run = await asyncio.to_thread(run_command, "metrics", "--json", database_url=database_url)
    shown = json.loads(run.stdout)

    assert sum(each["sessions"] for each in shown["sessions"]) >= 2, "the test's own, and the command's"
    tables = {each["name"]: each for each in shown["tables"]}
    assert {"worlds", "scenes", "turn_waiters", "actions"} <= tables.keys()
    assert tables["worlds"]["bytes"] > 0
    run = await asyncio.to_thread(run_command, "metrics", "--prometheus", database_url=database_url)
    families = families_of(run.stdout)
    refuse_unlisted(families)
    sizes = {each.labels["table"]: each.value for each in families["livingworld_table_size_bytes"].samples}
    assert sizes.keys() == tables.keys()
    assert sizes["worlds"] == tables["worlds"]["bytes"]
    assert sum(each.value for each in families["livingworld_database_sessions"].samples) >= 2
    run = await asyncio.to_thread(run_command, "metrics", database_url=database_url)
    assert "worlds: about " in run.stdout
