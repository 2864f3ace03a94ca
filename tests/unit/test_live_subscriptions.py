"""What one subscriber is given, whatever the moment at which it meets the tail of its stream."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from livingworld import LiveEvent, LiveKind, Missed, Subscription
from livingworld.live.records import StoredEvents
from tests.support.patience import patiently

STREAM = uuid4()


def event(number: int) -> LiveEvent:
    return LiveEvent(stream_id=STREAM, number=number, kind=LiveKind.STORY_CHANGED, details={}, at=datetime.now(UTC))


class Stored:
    """A stream with some events, read in pages; `seen` is where its tail stands."""

    def __init__(self, last: int, *, seen: int, kept_after: int = 0, page: int = 3) -> None:
        self.stream_id: UUID = STREAM
        self.seen = seen
        self._last = last
        self._kept_after = kept_after
        self._page = page

    def count_missed(self) -> None:
        pass

    def refuse_other_loops(self) -> None:
        """Everything is in one loop here."""

    async def read(self, after: int) -> StoredEvents:
        await asyncio.sleep(0)
        first = max(after, self._kept_after) + 1
        page = range(first, min(first + self._page, self._last + 1))
        return StoredEvents(events=tuple(map(event, page)), last_number=self._last, kept_after=self._kept_after)


def subscribed(source: Stored, after: int | None, size: int = 10) -> Subscription:
    return Subscription(source, after, size, lambda _: None)


async def given(subscription: Subscription, count: int) -> list[tuple[str, int]]:
    async with patiently():
        return [(type(item).__name__, item.number) for item in [await anext(subscription) for _ in range(count)]]


async def test_what_was_read_from_the_store_is_not_given_again_by_the_tail() -> None:
    source = Stored(7, seen=5, page=10)
    subscription = subscribed(source, 2)
    assert await given(subscription, 5) == [("LiveEvent", number) for number in range(3, 8)]
    subscription.deliver([event(6), event(7), event(8)])  # the tail has them only now
    source.seen = 8
    assert await given(subscription, 1) == [("LiveEvent", 8)]


async def test_what_the_tail_hands_out_while_the_store_is_read_is_read_too() -> None:
    source = Stored(4, seen=9)
    subscription = subscribed(source, 0)
    assert await given(subscription, 4) == [("LiveEvent", number) for number in range(1, 5)]
    reading = asyncio.create_task(given(subscription, 6))
    await asyncio.sleep(0)
    source._last, source.seen = 10, 10
    subscription.deliver([event(10)])
    assert await reading == [("LiveEvent", number) for number in range(5, 11)]


async def test_two_tasks_share_a_subscription_and_each_item_comes_once() -> None:
    subscription = subscribed(Stored(20, seen=20), 0)
    both = await asyncio.gather(given(subscription, 10), given(subscription, 10))

    assert sorted(number for items in both for _, number in items) == list(range(1, 21))


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_a_full_buffer_becomes_one_missed_that_counts_and_what_follows_is_given(size: int) -> None:
    subscription = subscribed(Stored(0, seen=0), None, size)
    subscription.deliver([event(number) for number in range(1, 12)])
    item = await anext(subscription)
    assert isinstance(item, Missed)
    assert item.count == item.number
    assert len(subscription._buffer) <= size
    left = 11 - item.number
    assert await given(subscription, left) == [("LiveEvent", number) for number in range(item.number + 1, 12)]
    assert subscription.position == 11


async def test_missed_ones_that_nobody_counted_stay_uncounted() -> None:
    subscription = subscribed(Stored(0, seen=0), None, 2)
    subscription.deliver([Missed(stream_id=STREAM, count=None, number=5), event(6), event(7)])
    item = await anext(subscription)
    assert isinstance(item, Missed)
    assert (item.count, item.number) == (None, 6)
    assert await given(subscription, 1) == [("LiveEvent", 7)]


async def test_what_waits_is_given_before_the_error_that_ends_it() -> None:
    subscription = subscribed(Stored(0, seen=0), None)
    subscription.deliver([event(1)])
    subscription.end(ZeroDivisionError())
    assert await given(subscription, 1) == [("LiveEvent", 1)]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await anext(subscription)


async def numbers_of(subscription: Subscription) -> list[int]:
    return [item.number for item in await subscription.batch()]


async def test_a_batch_is_all_that_is_there_and_waits_for_the_first() -> None:
    subscription = subscribed(Stored(0, seen=0), None)
    waiting = asyncio.create_task(numbers_of(subscription))
    await asyncio.sleep(0)
    assert not waiting.done()
    subscription.deliver([event(1), event(2)])
    subscription.deliver([event(3)])

    async with patiently():
        assert await waiting == [1, 2, 3]
    assert subscription.position == 3


async def test_batches_begin_with_what_is_stored() -> None:
    subscription = subscribed(Stored(7, seen=7), 2)
    async with patiently():
        assert [await numbers_of(subscription), await numbers_of(subscription)] == [[3, 4, 5], [6, 7]]
    subscription.deliver([event(8)])
    assert await given(subscription, 1) == [("LiveEvent", 8)]


async def test_a_cancelled_wait_for_a_batch_loses_nothing() -> None:
    subscription = subscribed(Stored(0, seen=0), None)
    for after in ("the wake", "the wait"):
        waiting = asyncio.create_task(numbers_of(subscription))
        await asyncio.sleep(0)
        if after == "the wait":
            waiting.cancel()
        subscription.deliver([event(subscription.position + 1)])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(await numbers_of(subscription)) == 1


@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
async def test_batches_end_with_an_empty_one_or_with_the_error(error: Exception | None) -> None:
    subscription = subscribed(Stored(0, seen=0), None)
    waiting = asyncio.create_task(numbers_of(subscription))
    await asyncio.sleep(0)
    if error is None:
        subscription.close()
        assert (await waiting, await subscription.batch()) == ([], [])
        return
    subscription.deliver([event(1)])
    subscription.end(error)
    assert await waiting == [1]
    with pytest.raises(ZeroDivisionError):
        await subscription.batch()
