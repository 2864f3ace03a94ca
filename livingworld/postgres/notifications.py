"""Notifications: hints between tasks and processes that something changed; a subscriber polls as well.

NOTIFY takes a lock of the whole database when its transaction commits. So it is never a part of a transaction that
writes: it is sent after the commit, by a statement of its own, for all topics that were notified meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Final

from livingworld.errors import LivingWorldError
from livingworld.postgres.listening import Connect, Listening
from livingworld.postgres.transactions.admission import outside
from livingworld.postgres.transactions.database import Database
from livingworld.postgres.transactions.transaction import Transaction

CHANNEL: Final = "livingworld"
#: PostgreSQL takes less than 8,000 bytes of payload; topics are ASCII.
_PAYLOAD: Final = 7_000
_NOTIFY: Final = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"


class TopicSubscription:
    """One waiter for the notifications of a topic, or of several."""

    def __init__(self) -> None:
        self._notified = asyncio.Event()

    def wake(self) -> None:
        """End the wait that is under way, or the next one."""
        self._notified.set()

    async def wait(self, timeout: timedelta) -> bool:
        """Return True when the topic was notified since the last wait, False after the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()):
                await self._notified.wait()
        notified = self._notified.is_set()
        self._notified.clear()
        return notified


class Notifications:
    """The notifications that this process sends and receives."""

    def __init__(self, connect: Connect | None, send: Database) -> None:
        """`connect` opens the connection that listens; None: there is none, and only this process is notified."""
        self._listening = None if connect is None else Listening(connect, CHANNEL, self._receive, self._wake_all)
        self._send = send
        self._subscriptions: dict[str, set[TopicSubscription]] = {}
        self._unsent: set[str] = set()
        self._listener: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

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
        self._send.refuse_other_loops()
        if self._listening is not None and self._listener is None and not self._closed:
            self._listener = asyncio.create_task(self._listening.run(), context=outside())
        subscription = subscription or TopicSubscription()
        self._subscriptions.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[topic].discard(subscription)
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
            payloads = _payloads(self._unsent)
            self._unsent = set()
            with suppress(LivingWorldError):
                await self._send.run(partial(_notify, payloads=payloads), repeatable=True, single_statement=True)
        self._sender = None

    def _receive(self, payload: str) -> None:
        for topic in payload.split():
            self._wake(topic)

    def _wake(self, topic: str) -> None:
        for subscription in self._subscriptions.get(topic, ()):
            subscription.wake()

    def _wake_all(self) -> None:
        for topic in self._subscriptions:
            self._wake(topic)


async def _notify(tx: Transaction, payloads: list[str]) -> None:
    await tx.execute_text(_NOTIFY, (CHANNEL, payloads))


def _payloads(topics: set[str]) -> list[str]:
    """Return the topics, joined as far as a payload reaches."""
    payloads = [""]
    for topic in sorted(topics):
        if len(payloads[-1]) + len(topic) >= _PAYLOAD:
            payloads.append("")
        payloads[-1] = f"{payloads[-1]} {topic}".strip()
    return payloads
