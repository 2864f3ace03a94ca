"""Getting a turn: asked for once, or again and again for as long as its place in the queue is worth waiting for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from livingworld.errors import Conflict, InvalidInput, InvalidType, LivingWorldError, NotFound, Refused, TurnTimeout
from livingworld.observability import events
from livingworld.story.turns.ending import withdraw
from livingworld.story.turns.merging import merge
from livingworld.story.turns.records import Combine, TurnInput
from livingworld.story.turns.taking import TakeRequest, TakeResult, refusal
from livingworld.story.turns.turn_services import TurnServices, branch_topic


@dataclass(frozen=True, slots=True)
class Grant:
    """A turn that was granted, or was carried out before."""

    result: TakeResult
    #: When the request was sent, in seconds of the loop's clock: the lease is trusted from here.
    asked_at: float


class TurnQueue:
    """How the callers of one process come to their turns."""

    def __init__(self, services: TurnServices) -> None:
        self._services = services
        self._loop = asyncio.get_running_loop
        #: The last statement of each request, by owner.
        self._under_way: dict[UUID, asyncio.Future[TakeResult]] = {}

    async def take(self, request: TakeRequest, combine: Combine | None, time_limit: timedelta) -> Grant:
        """Return the turn when it is had; raises what refuses it, and TurnTimeout when waiting took too long.

        However it fails, nothing of it stays: no place in the queue and no lease.
        """
        deadline = self._loop().time() + time_limit.total_seconds()
        waiting = False
        try:
            grant, result = await self._ask(request)
            if grant is None:
                waiting = True
                grant = await self._wait(request, result, combine, deadline)
        except BaseException as error:
            if not waiting and isinstance(error, InvalidInput | NotFound | Conflict | Refused):
                self._under_way.pop(request.owner, None)
            else:
                self.withdraw(request)  # whether it was granted meanwhile, nobody knows
            raise
        self._under_way.pop(request.owner, None)
        return grant

    def withdraw(self, request: TakeRequest) -> None:
        """Undo the request in the background: it may still be under way."""
        self._services.tasks.finish(self._withdraw(request))

    async def _ask(self, request: TakeRequest) -> tuple[Grant | None, TakeResult]:
        """Ask once; a caller who is cancelled meanwhile leaves the statement running, and withdraws after it."""
        asked_at = self._loop().time()
        self._services.unit.refuse_misplaced()
        self._under_way[request.owner] = answer = self._services.takes.submit(request)
        try:
            result = await asyncio.shield(answer)
        except asyncio.CancelledError:
            self._services.takes.recall(request, answer)
            raise
        if (error := refusal(result, request)) is not None:
            self._report(request, error)
            raise error
        ids = {"world_id": self._services.world_id, "story_id": request.story_id}
        if result.status == "granted":
            events.emit(events.TURN_TAKEN, **ids, branch_number=result.branch_number, attempt=result.attempt)
            if request.busy == "replace":
                self._services.notifications.notify(branch_topic(request.story_id, result.branch_number))
        elif result.status == "replayed":
            events.emit(events.TURN_REPLAYED, **ids, scene_number=result.scene_number)
        else:
            return None, result
        return Grant(result, asked_at), result

    async def _wait(self, request: TakeRequest, result: TakeResult, combine: Combine | None, deadline: float) -> Grant:
        """Ask whenever something was told about the branch, and in every polling interval."""
        with self._services.notifications.subscribe(
            branch_topic(request.story_id, result.branch_number)
        ) as subscription:
            while True:
                request = _patient(request, result)
                grant, result = await self._ask(request)
                if grant is not None:
                    return grant
                if result.status == "mergeable" and combine is not None:
                    await self._merge(request, result, combine)
                    continue
                left = deadline - self._loop().time()
                if left <= 0:
                    raise TurnTimeout(story_id=request.story_id)
                await subscription.wait(min(self._services.poll_interval, timedelta(seconds=left)))

    async def _merge(self, request: TakeRequest, leader: TakeResult, combine: Combine) -> None:
        """Put this input into the one that waits; when that has changed meanwhile, the next look tells."""
        both = combine(TurnInput(leader.choice, leader.instruction), request.input)
        if not isinstance(both, TurnInput):
            raise InvalidType("combine", f"must return a TurnInput, not {type(both).__name__}")
        await self._services.unit.run(
            lambda tx: merge(tx, self._services.world_id, request, leader, both), repeatable=True, single_statement=True
        )

    async def _withdraw(self, request: TakeRequest) -> None:
        if (answer := self._under_way.pop(request.owner, None)) is not None:
            await asyncio.wait([answer])
        try:
            branch = await self._services.unit.run(
                lambda tx: withdraw(tx, self._services.world_id, request), repeatable=True
            )
        except LivingWorldError:  # then the place and the lease end by themselves
            return
        if branch is not None:
            self._services.notifications.notify(branch_topic(request.story_id, branch))

    def _report(self, request: TakeRequest, error: LivingWorldError) -> None:
        ids = {"world_id": self._services.world_id, "story_id": request.story_id}
        events.emit(events.TURN_REFUSED, **ids, error=type(error).__name__)


def _patient(request: TakeRequest, result: TakeResult) -> TakeRequest:
    """Return a request that goes on waiting when the turn that it follows is given up, whatever policy it came with."""
    impatient = result.status == "following" and request.busy in {"reject", "replace"}
    return replace(request, busy="queue") if impatient else request
