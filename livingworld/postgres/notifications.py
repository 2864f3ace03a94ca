"""Notifications: hints between tasks and processes that something changed; whoever waits for one polls as well.

NOTIFY takes a lock of the whole database when its transaction commits. So it is never a part of a transaction that
writes: it is sent after the commit, by a statement of its own, for all topics that were told meanwhile.
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
from livingworld.postgres.transactions.transaction import Transaction, UnitOfWork

CHANNEL: Final = "livingworld"
#: PostgreSQL takes less than 8,000 bytes of payload; topics are ASCII.
_PAYLOAD: Final = 7_000
_NOTIFY: Final = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"


class Hearing:
    """Somebody who wants to hear of one topic."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        """Wake whoever waits, now or when next somebody waits."""
        self._told.set()

    async def wait(self, timeout: timedelta) -> bool:
        """Return True when the topic was told since the last wait, False after the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()):
                await self._told.wait()
        told = self._told.is_set()
        self._told.clear()
        return told


class Notifications:
    """What this process tells and hears."""

    def __init__(self, connect: Connect | None, send: UnitOfWork) -> None:
        """`connect` opens the connection that listens; None: there is no direct one, and only this process is heard."""
        self._listening = None if connect is None else Listening(connect, CHANNEL, self._heard, self._wake_all)
        self._send = send
        self._hearings: dict[str, set[Hearing]] = {}
        self._untold: set[str] = set()
        self._listener: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    def tell(self, topic: str) -> None:
        """Wake whoever hears the topic, here and elsewhere; called after the commit. Never blocks or raises."""
        self._wake(topic)
        self._untold.add(topic)
        if self._sender is None and not self._closed:
            self._sender = asyncio.create_task(self._tell_others(), context=outside())

    @contextmanager
    def hearing(self, topic: str) -> Iterator[Hearing]:
        """Hear a topic while the block runs."""
        self._send.refuse_other_loops()
        if self._listening is not None and self._listener is None and not self._closed:
            self._listener = asyncio.create_task(self._listening.run(), context=outside())
        hearing = Hearing()
        self._hearings.setdefault(topic, set()).add(hearing)
        try:
            yield hearing
        finally:
            self._hearings[topic].discard(hearing)
            if not self._hearings[topic]:
                del self._hearings[topic]

    async def close(self) -> None:
        """Send what was told, and leave no task and no connection behind."""
        self._closed = True
        if self._sender is not None:
            await self._sender
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def _tell_others(self) -> None:
        """Send until nothing is left; what cannot be sent is dropped, since everybody polls."""
        while self._untold:
            payloads = _payloads(self._untold)
            self._untold = set()
            with suppress(LivingWorldError):
                await self._send.run(partial(_notify, payloads), repeatable=True, single_statement=True)
        self._sender = None

    def _heard(self, payload: str) -> None:
        for topic in payload.split():
            self._wake(topic)

    def _wake(self, topic: str) -> None:
        for hearing in self._hearings.get(topic, ()):
            hearing.tell()

    def _wake_all(self) -> None:
        for topic in self._hearings:
            self._wake(topic)


async def _notify(payloads: list[str], tx: Transaction) -> None:
    await tx.execute_text(_NOTIFY, (CHANNEL, payloads))


def _payloads(topics: set[str]) -> list[str]:
    """Return the topics, joined as far as a payload reaches."""
    payloads = [""]
    for topic in sorted(topics):
        if len(payloads[-1]) + len(topic) >= _PAYLOAD:
            payloads.append("")
        payloads[-1] = f"{payloads[-1]} {topic}".strip()
    return payloads
