"""What a tail does with what is committed while its follow begins, and after it is over."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from livingworld import LiveEvent, LiveKind
from livingworld.errors import StoryNotFound
from livingworld.live.records import StoredEvents
from livingworld.live.streams import Stream
from livingworld.live.tail import Tail


class Hub:
    """Notes what a tail asks for."""

    def __init__(self) -> None:
        self.moved: list[Tail] = []

    def move(self, tail: Tail) -> None:
        self.moved.append(tail)

    def forget(self, tail: Tail) -> None:
        tail.is_over = True

    def count_missed(self) -> None:
        pass

    def refuse_other_loops(self) -> None:
        """Everything is in one loop here."""

    async def read(self, tail: Tail, after: int) -> StoredEvents:
        raise NotImplementedError


async def find(*_: object) -> None:
    """Find anything."""


def make_tail(hub: Hub) -> Tail:
    return Tail(Stream(id=uuid4(), find=find, gone=StoryNotFound), hub)


async def test_what_was_notified_while_the_follow_began_is_read_once_it_has_begun() -> None:
    hub = Hub()
    tail = make_tail(hub)
    tail.wake()
    assert hub.moved == []
    tail.begin(3)
    assert (hub.moved, tail.seen) == ([tail], 3)


async def test_a_tail_that_nothing_has_woken_reads_nothing() -> None:
    hub = Hub()
    make_tail(hub).begin(0)
    assert hub.moved == []


async def test_others_run_while_a_page_goes_to_many_and_one_who_joins_meanwhile_begins_after_it() -> None:
    tail = make_tail(Hub())
    tail.begin(0)
    many = [await tail.join(None, 10) for _ in range(250)]
    event = LiveEvent(stream_id=tail.stream_id, number=1, kind=LiveKind.STORY_CHANGED, details={}, at=datetime.now(UTC))
    handing = asyncio.create_task(tail.hand_on(StoredEvents(events=(event,), last_number=1, kept_after=0)))
    await asyncio.sleep(0)
    assert 0 < sum(bool(each._buffer) for each in many) < len(many)
    late = await tail.join(None, 10)
    assert await handing == 1
    assert [each.position for each in many if (await anext(each)).number == 1] == [1] * 250
    assert (late.started_at, list(late._buffer)) == (1, [])


async def test_one_who_joins_after_the_end_gets_its_error() -> None:
    tail = make_tail(Hub())
    tail.end(StoryNotFound())
    with pytest.raises(StoryNotFound):
        await tail.join(None, 10)
