"""Streams that are about to be followed: those that arrive together begin together, each behind its own writer only."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from livingworld.errors import Closed
from livingworld.live.following import begin, lock_free_publishers, lock_publishers, renew, renew_free
from livingworld.live.streams import LockFree, Stream
from livingworld.live.tail import Tail
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction

#: Most follows that begin in one transaction: it holds the locks of what they follow.
_TOGETHER: Final = 100


class Newcomers:
    """The tails of one world that are not followed yet."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: list[Tail] = []
        self._beginner: asyncio.Task[None] | None = None

    def add(self, tail: Tail) -> None:
        """Follow the stream of a tail, together with all others that wait at that moment."""
        self._waiting.append(tail)
        if self._beginner is None:
            self._beginner = self._services.tasks.watch(self._begin_all())

    async def follow(self, stream: Stream) -> int:
        """Lengthen one follow, or begin it under the lock of what is followed, and return the last number."""
        number = await self._services.background.write_single_idempotent(renew, stream.id)
        return await self._services.unit.write_idempotent(_begin_one, stream) if number is None else number

    async def _begin_all(self) -> None:
        try:
            while self._waiting:
                tails, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                await self._begin_together(tails)
        finally:
            self._beginner = None

    async def _begin_together(self, tails: list[Tail]) -> None:
        """Begin what can begin at once; what is held, or does not exist, goes on alone."""
        numbers: dict[UUID, int] = {}
        if len(tails) > 1:
            try:
                numbers = await self._follow_free([tail.stream for tail in tails])
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must get it
                for tail in tails:
                    tail.end(error)
                return
        for tail in tails:
            if tail.stream_id in numbers:
                tail.begin(numbers[tail.stream_id])
            else:
                self._services.tasks.watch(self._begin_alone(tail))

    async def _begin_alone(self, tail: Tail) -> None:
        try:
            tail.begin(await self.follow(tail.stream))
        except asyncio.CancelledError:
            tail.end(Closed())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must get it
            tail.end(error)

    async def _follow_free(self, streams: Sequence[Stream]) -> dict[UUID, int]:
        """Lengthen the follows of others, begin those of what is free, and return the last numbers of both."""
        ids = [stream.id for stream in streams]
        renewed = await self._services.background.write_single_idempotent(renew_free, ids)
        numbers = {stream_id: found.last_number for stream_id, found in renewed.items()}
        if new := [stream for stream in streams if stream.id not in numbers and stream.owners]:
            numbers |= await self._services.unit.write_idempotent(_begin_free, new)
        return numbers


async def _begin_one(tx: Transaction, stream: Stream) -> int:
    if stream.owners is not None:
        await stream.owners.lock(tx, stream.id)
    await lock_publishers(tx, stream.id)
    return (await begin(tx, [stream.id]))[stream.id]


async def _begin_free(tx: Transaction, streams: Sequence[Stream]) -> dict[UUID, int]:
    by_kind: defaultdict[LockFree, list[UUID]] = defaultdict(list)
    for stream in streams:
        if stream.owners is not None:
            by_kind[stream.owners.lock_free].append(stream.id)
    free = [stream_id for lock_free, ids in by_kind.items() for stream_id in await lock_free(tx, ids)]
    quiet = await lock_free_publishers(tx, free) if free else []
    return await begin(tx, quiet) if quiet else {}
