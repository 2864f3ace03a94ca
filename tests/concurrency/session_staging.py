"""The row behind which the races of a session are staged."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from livingworld import Session, World
from livingworld.testing.staged_races import holding

THE_SESSION: Final = "SELECT FROM livingworld.sessions WHERE world_id = $1 AND session_id = $2 FOR UPDATE"


async def behind_the_session(
    url: str, world: World, session: Session, contenders: list[Coroutine[Any, Any, Any]]
) -> list[Any]:
    """Let the first contender have the session's row first, and after it the others, in any order.

    Two that wait behind it follow the row to the version that it leaves, and there the later one may be the first.
    """
    tasks: list[asyncio.Task[Any]] = []
    async with holding(url, THE_SESSION, [world.id, session.id]) as holder:
        for contender in contenders:
            tasks.append(asyncio.create_task(contender))
            await holder.until_blocked(count=len(tasks))
    return await asyncio.gather(*tasks, return_exceptions=True)
