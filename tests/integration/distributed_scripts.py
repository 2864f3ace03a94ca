"""Every method of scripts that talks to the database, for test_distributed_statements.py."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from livingworld import World
from livingworld.errors import NothingToRollBack, StillRunning


async def use_scripts(world: World) -> None:
    """Call every method of scripts."""
    scripts = world.scripts
    async with scripts.following():
        for body in ("one", "two"):
            await scripts.publish("narrator", body)
        await scripts.publish_all([scripts.check("rules", "x", kind="plain")], activate=False)
        await scripts.rollback("narrator")
        async with scripts.use("narrator"):
            await scripts.activate("narrator", 2)
            with contextlib.suppress(StillRunning):
                await scripts.retire("narrator", 1, timeout=timedelta(0))
            await scripts._executions._renew()
        await scripts.retire("narrator", 1)
        with contextlib.suppress(NothingToRollBack):
            await scripts.rollback("narrator")
    async with scripts.use("narrator"):
        await scripts.get("narrator", 1)
    await scripts.list(after="a")
    await scripts.versions("narrator", after="3")
