"""No call through another world reads or changes anything of this one, whatever ids it is given."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace

from livingworld import LivingWorld
from livingworld.errors import Conflict, NotFound, Refused
from tests.support.every_call import CALLS, recorded
from tests.support.every_write import Furnished, furnish
from tests.support.stored_rows import rows_of


async def answer(path: str, there: Furnished) -> object:
    """Return what a call says, or yields first; None when it refuses, or yields nothing."""
    method, arguments = recorded(CALLS[path], there)
    given = method(**arguments)
    try:
        if hasattr(given, "__aenter__"):
            async with given as entered:
                return entered
        if hasattr(given, "__anext__"):
            async with asyncio.timeout(0.2):
                return await anext(given)
        return await given if inspect.isawaitable(given) else given
    except (NotFound, Conflict, Refused, TimeoutError, StopAsyncIteration):
        return None


async def test_no_call_through_another_world_reads_or_changes_anything(
    database_url: str, livingworld: LivingWorld
) -> None:
    ours = await furnish(livingworld)
    before = await rows_of(database_url, ours.world.id)

    answers = {
        path: repr(await answer(path, replace(ours, world=await livingworld.worlds.create("another"))))
        for path in CALLS
        if not path.startswith("worlds.")
    }

    assert await rows_of(database_url, ours.world.id) == before
    texts = ["'One.'", "'Two.'", "It rained", "It turns.'", "Good day", str(ours.story.id), str(ours.session.id)]
    assert {path: text for path, text in answers.items() if any(each in text for each in texts)} == {}
    assert not any("'Mara'" in text for path, text in answers.items() if "get_or_create" not in path)
