"""Who meets a full queue waits until others have gone, and succeeds."""

from __future__ import annotations

import pytest

from livingworld import errors
from livingworld.live.presence_writing import MAX_CONNECTIONS
from tests.support.every_write import Furnished


async def queue_full(at: Furnished, _: str) -> None:
    await at.world.actions.limit_lane("waiting", 1)
    with pytest.raises(errors.QueueFull):
        await at.world.actions.enqueue("waiting", "walk")
    await at.world.actions.claim()

    await at.world.actions.enqueue("waiting", "walk")


async def limit_reached(at: Furnished, _: str) -> None:
    joined = [await at.world.presence.join("ada") for _ in range(MAX_CONNECTIONS)]
    with pytest.raises(errors.LimitReached):
        await at.world.presence.join("ada")
    await at.world.presence.leave(joined[0].id)

    await at.world.presence.join("ada")
