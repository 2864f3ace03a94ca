"""The requests of one process that wait for turns: their places are kept, and those whose turn has come are woken.

A notification wakes the one that it names. Notifications may be lost, so one statement in every polling interval looks
after all that wait in a world.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld.errors import LivingWorldError
from livingworld.observability import instruments
from livingworld.postgres.notifications import TopicSubscription
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.turns.outcomes import Waiting
from livingworld.story.turns.requests import TakeRequest

_CALLED: Final = "SELECT * FROM livingworld.called_turns_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)"
#: Looks in the patience of a queue: a caller whose process misses so many is gone.
_MISSED_LOOKS: Final = 12


@dataclass(frozen=True, slots=True)
class _Waiter:
    request: TakeRequest
    place: Waiting
    subscription: TopicSubscription


class WaitingRequests:
    """What waits for turns in one world and process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        #: By the owner of the request.
        self._waiters: dict[UUID, _Waiter] = {}
        self._looking: asyncio.Task[None] | None = None
        services.metrics.observe_each(instruments.TURN_WAITING, self, lambda each: len(each._waiters))  # noqa: SLF001
        services.metrics.observe_each(instruments.TURN_LONGEST_LINE, self, WaitingRequests.longest_line)

    def longest_line(self) -> int:
        """Return how many wait for the branch that most wait for."""
        lines = Counter((each.request.story_id, each.place.branch_number) for each in self._waiters.values())
        return max(lines.values(), default=0)

    @contextmanager
    def waiting(self, request: TakeRequest, place: Waiting, subscription: TopicSubscription) -> Iterator[None]:
        """Look after a request while the block runs, and wake its subscription when it should ask again."""
        self._waiters[request.owner] = _Waiter(request, place, subscription)
        if self._looking is None or self._looking.done():
            self._looking = self._services.tasks.watch(self._look_in_intervals())
        try:
            yield
        finally:
            del self._waiters[request.owner]

    async def _look_in_intervals(self) -> None:
        """Look until nothing waits; where the look fails, each request asks by itself and has the error."""
        while True:
            await asyncio.sleep(self._services.poll_interval.total_seconds())
            if not (waiters := list(self._waiters.values())):
                return
            try:
                called = await self._services.background.write_single_idempotent(
                    call_waiters, waiters, patience(self._services.poll_interval)
                )
            except LivingWorldError:
                called = waiters
            for waiter in called:
                waiter.subscription.wake()


def patience(poll_interval: timedelta) -> timedelta:
    """Return how long a place in the queue is kept for a process that is silent."""
    return poll_interval * _MISSED_LOOKS


async def call_waiters(tx: Transaction, waiters: Sequence[_Waiter], length: timedelta) -> list[_Waiter]:
    """Keep the places of these requests by one statement, and return those that should ask; see called_turns_v1.sql."""
    columns = (
        [waiter.request.story_id for waiter in waiters],
        [waiter.place.branch_number for waiter in waiters],
        [waiter.request.request_key for waiter in waiters],
        [waiter.request.owner for waiter in waiters],
        [waiter.place.ticket for waiter in waiters],
        [waiter.place.follows for waiter in waiters],
        [waiter.request.expected_head for waiter in waiters],
    )
    rows = (await tx.execute_text(_CALLED, (tx.world_id, length, *columns))).all()
    return [waiters[ordinal - 1] for (ordinal,) in rows]
