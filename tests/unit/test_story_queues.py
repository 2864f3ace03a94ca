"""The requests of a story are sent by one statement after the other."""

from __future__ import annotations

import asyncio
from typing import Any

from livingworld.postgres.group_commit.requests import Waiter
from livingworld.postgres.group_commit.story_queues import StoryQueues


def asked(story: int) -> Waiter[Any, None]:
    request: Any = object()
    return Waiter(request, asyncio.get_running_loop().create_future(), 0, 0, story, 1)


async def test_of_a_story_that_is_under_way_nothing_is_taken_before_it_is_released() -> None:
    queues = StoryQueues[Any, None]()
    first, second, other = asked(1), asked(1), asked(2)
    queues.add(first)
    assert queues.take_group(10) == [first]
    queues.add(second)
    queues.add(other)
    assert queues.take_group(10) == [other]
    queues.release(1)
    assert queues.take_group(10) == [second]
