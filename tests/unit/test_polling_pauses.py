"""How long a waiter that polls waits, with notifications and without."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from livingworld.postgres.notifications import RARE, TopicSubscription
from tests.support.virtual_time import in_virtual_time

INTERVAL = timedelta(seconds=1)


async def pauses(subscription: TopicSubscription, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    found = []
    for _ in range(count):
        began = loop.time()
        await subscription.wait_or_poll(INTERVAL)
        found.append(loop.time() - began)
    return found


@in_virtual_time
async def test_where_notifications_arrive_polls_become_rare() -> None:
    assert await pauses(TopicSubscription(lambda: True), 7) == [1, 2, 4, 8, 16, RARE, RARE]


@in_virtual_time
async def test_where_none_can_arrive_every_pause_is_the_same() -> None:
    assert await pauses(TopicSubscription(lambda: False), 4) == [1, 1, 1, 1]


@in_virtual_time
async def test_after_a_notification_pauses_are_short_again_since_it_may_be_early() -> None:
    subscription = TopicSubscription(lambda: True)
    await pauses(subscription, 6)
    subscription.wake()
    assert await pauses(subscription, 3) == [0, 1, 2]


@in_virtual_time
async def test_when_notifications_stop_the_next_pause_is_short() -> None:
    arrive = True
    subscription = TopicSubscription(lambda: arrive)
    await pauses(subscription, 6)
    arrive = False
    assert await pauses(subscription, 2) == [1, 1]


@in_virtual_time
async def test_a_wake_within_an_interval_is_one_however_often_it_is_asked_for() -> None:
    subscription = TopicSubscription(lambda: True)
    await pauses(subscription, 6)
    for _ in range(3):
        subscription.wake_within(INTERVAL)
        await asyncio.sleep(0.25)
    assert await pauses(subscription, 2) == [0.25, 1]
