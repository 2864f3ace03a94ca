"""Getting a turn: asked for once, then again and again while its place in the queue is worth waiting for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from livingworld.errors import Conflict, InvalidInput, InvalidType, LivingWorldError, NotFound, Refused, TurnTimeout
from livingworld.observability import events
from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.services import Services
from livingworld.story.stories.appending import Refusal, Replayed
from livingworld.story.turns.holdings import withdraw
from livingworld.story.turns.outcomes import Granted, Mergeable, TakeOutcome, Waiting
from livingworld.story.turns.records import Combine, TurnInput
from livingworld.story.turns.requests import TakeRequest, branch_topic
from livingworld.story.turns.writing import merge_inputs

Takes: TypeAlias = GroupCommit[TakeRequest, TakeOutcome]


@dataclass(frozen=True, slots=True)
class Grant:
    """A turn that was granted, or was carried out before."""

    outcome: Granted | Replayed
    #: When the request was sent, in seconds of the loop's clock: the lease is trusted from here.
    asked_at: float


class TurnQueue:
    """How the callers of one process come to their turns."""

    def __init__(self, services: Services, takes: Takes) -> None:
        self._services = services
        self._takes = takes
        self._loop = asyncio.get_running_loop
        #: The last statement of each request, by owner.
        self._under_way: dict[UUID, asyncio.Future[TakeOutcome]] = {}

    async def take(self, request: TakeRequest, combine: Combine | None, time_limit: timedelta) -> Grant:
        """Return the turn when it is had; raises what refuses it, and TurnTimeout when waiting took too long.

        When it fails, nothing of it stays: no place in the queue and no lease.
        """
        deadline = self._loop().time() + time_limit.total_seconds()
        waiting = False
        try:
            answer = await self._ask(request)
            if not isinstance(answer, Grant):
                waiting = True
                answer = await self._wait(request, answer, combine, deadline)
        except BaseException as error:
            if not waiting and isinstance(error, InvalidInput | NotFound | Conflict | Refused):
                self._under_way.pop(request.owner, None)
            else:
                self.withdraw(request)  # it may have been granted meanwhile
            raise
        self._under_way.pop(request.owner, None)
        return answer

    def withdraw(self, request: TakeRequest) -> None:
        """Undo the request in the background: it may still be under way."""
        self._services.tasks.finish(self._withdraw(request))

    async def _ask(self, request: TakeRequest) -> Grant | Waiting | Mergeable:
        """Ask once; a caller who is cancelled meanwhile leaves the statement running, and withdraws after it."""
        asked_at = self._loop().time()
        self._services.unit.refuse_misplaced()
        self._under_way[request.owner] = answer = self._takes.submit(request)
        try:
            outcome = await asyncio.shield(answer)
        except asyncio.CancelledError:
            self._takes.recall(request, answer)
            raise
        self._report(request, outcome)
        match outcome:
            case Granted() | Replayed():
                return Grant(outcome, asked_at)
            case Waiting() | Mergeable():
                return outcome
        raise outcome.error

    def _report(self, request: TakeRequest, outcome: TakeOutcome) -> None:
        ids = {"world_id": self._services.world_id, "story_id": request.story_id}
        match outcome:
            case Granted(holding):
                place = {"branch_number": holding.branch_number, "attempt": holding.attempt}
                events.emit(events.TURN_TAKEN, **ids, **place)
            case Replayed(scene_number):
                events.emit(events.TURN_REPLAYED, **ids, scene_number=scene_number)
            case Refusal(error):
                events.emit(events.TURN_REFUSED, **ids, error=type(error).__name__)

    async def _wait(
        self, request: TakeRequest, place: Waiting | Mergeable, combine: Combine | None, deadline: float
    ) -> Grant:
        """Ask after each notification about the branch, and in every polling interval."""
        topic = branch_topic(request.story_id, place.branch_number)
        with self._services.notifications.subscribe(topic) as subscription:
            while True:
                request = _patient(request, place)
                answer = await self._ask(request)
                if isinstance(answer, Grant):
                    return answer
                place = answer
                if isinstance(place, Mergeable) and combine is not None:
                    await self._merge(request, place, combine)
                    continue
                left = deadline - self._loop().time()
                if left <= 0:
                    raise TurnTimeout(story_id=request.story_id)
                await subscription.wait(min(self._services.poll_interval, timedelta(seconds=left)))

    async def _merge(self, request: TakeRequest, leader: Mergeable, combine: Combine) -> None:
        """Put this input into the one that waits; when that has changed meanwhile, the next look returns what it is."""
        both = combine(leader.input, request.input)
        if not isinstance(both, TurnInput):
            raise InvalidType("combine", f"must return a TurnInput, not {type(both).__name__}")
        await self._services.unit.write_single_idempotent(merge_inputs, request, leader, both)

    async def _withdraw(self, request: TakeRequest) -> None:
        if (answer := self._under_way.pop(request.owner, None)) is not None:
            await asyncio.wait([answer])
        try:
            await self._services.unit.write_idempotent(withdraw, request)
        except LivingWorldError:  # then the place and the lease end by themselves
            return


def _patient(request: TakeRequest, place: Waiting | Mergeable) -> TakeRequest:
    """Return a request that goes on waiting, whatever its policy, when the turn that it follows is given up."""
    follows = isinstance(place, Waiting) and place.follows
    return replace(request, busy="queue") if follows and request.busy in {"reject", "replace"} else request
