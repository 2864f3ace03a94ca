"""How the requests of a group are sent: without a wait, waiting for several stories, or waiting for one."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Generic
from uuid import UUID

from livingworld.errors import LockTimeout
from livingworld.postgres.driver_errors.failures import RetryKind
from livingworld.postgres.group_commit.requests import NotTried, Q, R, Send
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction


class Sending(Generic[Q, R]):
    """Sends requests of one kind and one world."""

    def __init__(self, world_id: UUID, send: Send[Q, R]) -> None:
        self._world_id = world_id
        self._send = send

    async def group(self, tx: Transaction, requests: Sequence[Q]) -> list[R | NotTried]:
        """Send a group that waits for no story."""
        sent = perf_counter()
        results = await self._send(tx, requests, wait=False)
        if (watch := tx.lock_watch) is not None:
            watch.contention.held(LockKind.STORY, perf_counter() - sent)
            if NotTried in map(type, results):
                for request, result in zip(requests, results, strict=True):
                    if isinstance(result, NotTried):
                        watch.contention.met((LockKind.STORY, self._world_id, request.story_id))
        return results

    async def waiting(self, tx: Transaction, requests: Sequence[Q]) -> list[R | NotTried]:
        """Send a group that waits for stories, in the order of their ids and not for one that is waited for already."""
        for story_id in {request.story_id for request in requests}:
            tx.locks(LockKind.STORY, self._world_id, story_id)
        return await self._send(tx, requests, wait=True)

    async def one_story(self, tx: Transaction, requests: Sequence[Q]) -> list[R | NotTried]:
        """Send requests of one story, which is waited for in its turn."""
        tx.locks(LockKind.STORY, self._world_id, requests[0].story_id)
        results = await self._send(tx, requests, wait=tx.may_wait)
        first = results[0]
        if not isinstance(first, NotTried):
            return results
        if first.is_locked:
            tx.refuse(LockTimeout(), "the row is held", RetryKind.LOCK)
        return await self._send(tx, requests, wait=True)
