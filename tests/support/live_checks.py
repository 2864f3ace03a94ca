"""What the tests of the live hub share: items that must come soon, and none that come without cause."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from livingworld import LiveEvent, Missed, NewScene, Subscription, World
from tests.support.patience import patiently

_QUIET_SECONDS: Final = 0.5


async def take(events: Subscription, count: int) -> list[LiveEvent | Missed]:
    """Return the next items."""
    async with patiently():
        return [await anext(events) for _ in range(count)]


async def numbers(events: Subscription, count: int) -> list[int]:
    """Return the numbers of the next items, all of them events."""
    items = await take(events, count)
    assert all(isinstance(item, LiveEvent) for item in items), items
    return [item.number for item in items]


async def event(events: Subscription) -> LiveEvent:
    """Return the next item, an event."""
    (item,) = await take(events, 1)
    assert isinstance(item, LiveEvent), item
    return item


async def nothing_more(events: Subscription) -> bool:
    """Return whether nothing comes for two polling intervals."""
    try:
        async with asyncio.timeout(_QUIET_SECONDS):
            await anext(events)
    except TimeoutError:
        return True
    return False


async def append(world: World, story_id: object, count: int) -> None:
    """Append scenes, one after the other."""
    for _ in range(count):
        await world.stories.append_scene(story_id, NewScene("x"))  # type: ignore[arg-type]


async def published(events: Subscription, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and details of the next items."""
    items = [item for item in await take(events, count) if isinstance(item, LiveEvent)]
    return [(item.kind, dict(item.details)) for item in items]
