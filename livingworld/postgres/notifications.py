"""Notifications: hints between tasks and processes that something changed; a subscriber polls as well.

NOTIFY takes a lock of the whole database when its transaction commits. So it is never a part of a transaction that
writes: it is sent after the commit, by a statement of its own, for all topics that were notified meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from livingworld.errors import LivingWorldError
from livingworld.identifiers import new_id
from livingworld.observability import instruments
from livingworld.postgres.listening import Connect, Listening
from livingworld.postgres.transactions.admission import outside
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.transaction import Transaction

CHANNEL: Final = "livingworld"
#: PostgreSQL takes less than 8,000 bytes of payload; topics are ASCII.
_PAYLOAD: Final = 7_000
_NOTIFY: Final = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"
#: What is notified within this time of a sending is sent together.
_REST_SECONDS: Final = 0.005
#: Where notifications arrive, the pauses between polls grow to so many polling intervals.
RARE: Final = 20


class Subscriber(Protocol):
    """What is woken when its topic is notified, or may have been."""

    def wake(self) -> None:
        """Look at what the topic is about; never blocks or raises."""


class TopicSubscription:
    """One waiter for the notifications of a topic, or of several."""

    def __init__(self, arrive: Callable[[], bool] = lambda: False) -> None:
        """`arrive` returns whether notifications of other processes arrive."""
        self._notified = asyncio.Event()
        self._arrive = arrive
        self._pause = timedelta(0)
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """End the wait that is under way, or the next one."""
        self._notified.set()

    def wake_within(self, interval: timedelta) -> None:
        """Wake after an interval, once however often it is asked for meanwhile."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(interval.total_seconds(), self._wake_on_time)

    def cancel_timer(self) -> None:
        """Wake no more by time."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake_on_time(self) -> None:
        self._timer = None
        self.wake()

    async def wait(self, timeout: timedelta) -> bool:
        """Return True when the topic was notified since the last wait, False after the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()):
                await self._notified.wait()
        notified = self._notified.is_set()
        self._notified.clear()
        return notified

    async def wait_or_poll(self, interval: timedelta) -> None:
        """Wait for a notification, or until it is time to poll.

        Pauses begin with `interval` after each notification, because what it is about may not be committed yet. They
        double up to RARE intervals while notifications arrive, and stay at `interval` where none can.
        """
        pause = min(max(self._pause, interval), interval * RARE if self._arrive() else interval)
        self._pause = interval if await self.wait(pause) else pause * 2


class Notifications:
    """The notifications that this process sends and receives."""

    def __init__(self, connect: Connect | None, send: Database) -> None:
        """`connect` opens the connection that listens; None: there is none, and only this process is notified."""
        self._listening = None if connect is None else Listening(connect, CHANNEL, self._receive, self._wake_all)
        self._send = send
        self._sent = send.meter.metrics.counter(instruments.NOTIFICATIONS, "sent")
        self._received = send.meter.metrics.counter(instruments.NOTIFICATIONS, "received")
        #: Marks what this process sends: its own subscribers are woken already.
        self._sender_mark = new_id().hex
        self._subscriptions: dict[str, set[Subscriber]] = {}
        self._unsent: set[str] = set()
        self._listener: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    def arrive(self) -> bool:
        """Return whether the notifications of other processes arrive now."""
        return self._listening is not None and self._listening.is_connected

    def notify_nearest(self, topic: str) -> None:
        """Wake the subscribers of a topic here, or in all processes when there is none here; otherwise as `notify`."""
        if topic in self._subscriptions:
            self._wake(topic)
        else:
            self.notify(topic)

    def notify(self, topic: str) -> None:
        """Wake the subscribers of a topic, in all processes; called after the commit. Never blocks or raises."""
        self._wake(topic)
        self._unsent.add(topic)
        if self._sender is None and not self._closed:
            self._sender = asyncio.create_task(self._send_all(), context=outside())

    @contextmanager
    def subscribe(self, topic: str, subscription: TopicSubscription | None = None) -> Iterator[TopicSubscription]:
        """Subscribe to a topic while the block runs; a subscription that is given has this topic too."""
        subscription = subscription or TopicSubscription(self.arrive)
        self.add(topic, subscription)
        try:
            yield subscription
        finally:
            subscription.cancel_timer()
            self.remove(topic, subscription)

    def add(self, topic: str, subscriber: Subscriber) -> None:
        """Wake a subscriber whenever a topic is notified, or may have been, until it is removed."""
        self._send.refuse_other_loops()
        if self._listening is not None and self._listener is None and not self._closed:
            self._listener = asyncio.create_task(self._listening.run(), context=outside())
        self._subscriptions.setdefault(topic, set()).add(subscriber)

    def remove(self, topic: str, subscriber: Subscriber) -> None:
        """Wake a subscriber of a topic no more."""
        self._subscriptions[topic].discard(subscriber)
        if not self._subscriptions[topic]:
            del self._subscriptions[topic]

    async def close(self) -> None:
        """Send what is left, and leave no task and no connection behind."""
        self._closed = True
        if self._sender is not None:
            await self._sender
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def _send_all(self) -> None:
        """Send until nothing is left; what cannot be sent is dropped, since every subscriber polls."""
        while self._unsent:
            payloads = _payloads(self._sender_mark, self._unsent)
            self._sent.value += len(self._unsent)
            self._unsent = set()
            with suppress(LivingWorldError):
                await self._send.run(partial(_notify, payloads=payloads), repeatable=True, single_statement=True)
            await asyncio.sleep(_REST_SECONDS)
        self._sender = None

    def _receive(self, payload: str) -> None:
        mark, _, topics = payload.partition("|")
        if mark != self._sender_mark:
            for topic in topics.split():
                self._received.value += 1
                self._wake(topic)

    def _wake(self, topic: str) -> None:
        for subscriber in self._subscriptions.get(topic, ()):
            subscriber.wake()

    def _wake_all(self) -> None:
        for topic in self._subscriptions:
            self._wake(topic)


async def _notify(tx: Transaction, payloads: list[str]) -> None:
    await tx.execute_text(_NOTIFY, (CHANNEL, payloads))


def _payloads(mark: str, topics: set[str]) -> list[str]:
    """Return the mark and topics, joined as far as a payload reaches."""
    payloads = [f"{mark}|"]
    for topic in sorted(topics):
        if len(payloads[-1]) + len(topic) >= _PAYLOAD:
            payloads.append(f"{mark}|")
        payloads[-1] += f"{topic} "
    return payloads
