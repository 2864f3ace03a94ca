"""Getting a turn: asked for once, then again and again while its place in the queue is worth waiting for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID
from weakref import WeakValueDictionary

from livingworld.errors import Conflict, InvalidInput, InvalidType, LivingWorldError, NotFound, Refused, TurnTimeout
from livingworld.observability import events, instruments
from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.notifications import Notifications, TopicSubscription
from livingworld.postgres.services import Services
from livingworld.story.stories.appending import Refusal, Replayed
from livingworld.story.turns.holdings import withdraw
from livingworld.story.turns.outcomes import Granted, Mergeable, TakeOutcome, Waiting
from livingworld.story.turns.records import Combine, TurnInput
from livingworld.story.turns.requests import TakeRequest, end_topic, turn_topic
from livingworld.story.turns.waiting import WaitingRequests
from livingworld.story.turns.writing import merge_inputs

Takes: TypeAlias = GroupCommit[TakeRequest, TakeOutcome]


@dataclass(frozen=True, slots=True)
class Grant:
    """A turn that was granted, or was carried out before."""

    outcome: Granted | Replayed
    #: When the request was sent, in seconds of the loop's clock: the lease is trusted from here.
    asked_at: float


class _Topics:
    """The topics that wake one request, while it asks and waits."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._topics: set[str] = set()
        self.subscription = TopicSubscription()

    def subscribe(self, topic: str) -> bool:
        """Subscribe to a topic; False when it was subscribed to before."""
        if topic in self._topics:
            return False
        self._notifications.add(topic, self.subscription)
        self._topics.add(topic)
        return True

    def leave(self) -> None:
        """Subscribe to none any more."""
        for topic in self._topics:
            self._notifications.remove(topic, self.subscription)


@dataclass(slots=True, weakref_slot=True)
class _Merging:
    """Those of this process that put their inputs into one that waits, one after the other."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: What the waiting input became by the last of them.
    latest: Mergeable | None = None


class TurnQueue:
    """How the callers of one process come to their turns."""

    def __init__(self, services: Services, takes: Takes) -> None:
        self._services = services
        self._takes = takes
        self._loop = asyncio.get_running_loop
        #: The last statement of each request, by owner.
        self._under_way: dict[UUID, asyncio.Future[TakeOutcome]] = {}
        self._waiting = WaitingRequests(services)
        #: By story, branch and ticket.
        self._merging: WeakValueDictionary[tuple[UUID, int, int], _Merging] = WeakValueDictionary()

    async def take(self, request: TakeRequest, combine: Combine | None, time_limit: timedelta) -> Grant:
        """Return the turn when it is had; raises what refuses it, and TurnTimeout when waiting took too long.

        When it fails, nothing of it stays: no place in the queue and no lease.
        """
        began, outcome = self._loop().time(), "not granted"
        deadline = began + time_limit.total_seconds()
        waiting, topics = False, _Topics(self._services.notifications)
        try:
            if request.busy != "reject":
                topics.subscribe(turn_topic(request.story_id, request.request_key))
                # Another try of the key may be the one that is granted.
                topics.subscribe(end_topic(request.story_id, request.request_key))
            answer = await self._ask(request)
            if not isinstance(answer, Grant):
                waiting = True
                answer = await self._wait(request, answer, combine, deadline, topics)
            outcome = "granted" if isinstance(answer.outcome, Granted) else "replayed"
        except BaseException as error:
            if not waiting and isinstance(error, InvalidInput | NotFound | Conflict | Refused):
                self._under_way.pop(request.owner, None)
            else:
                self.withdraw(request)  # it may have been granted meanwhile
            raise
        finally:
            topics.leave()
            self._services.metrics.add(instruments.TURN_REQUESTS, 1, outcome)
            self._services.metrics.record(instruments.TURN_WAIT, self._loop().time() - began, outcome)
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
                self._takes.meter.refused(error)
                events.emit(events.TURN_REFUSED, **ids, error=type(error).__name__)

    async def _wait(
        self,
        request: TakeRequest,
        place: Waiting | Mergeable,
        combine: Combine | None,
        deadline: float,
        topics: _Topics,
    ) -> Grant:
        """Ask when the turn has come, and when the turn that is followed is over."""
        while True:
            request = _patient(request, place)
            is_new = topics.subscribe(_topic(request, place))
            if isinstance(place, Mergeable) and combine is not None:
                merged = await self._merge_in_order(request, place, combine)
                answer = merged or await self._ask(request)
            elif is_new:  # it may have been notified before
                answer = await self._ask(request)
            else:
                left = deadline - self._loop().time()
                if left <= 0:
                    raise TurnTimeout(story_id=request.story_id)
                assert isinstance(place, Waiting)  # noqa: S101 - without a function to combine nothing is mergeable
                with self._waiting.waiting(request, place, topics.subscription):
                    await topics.subscription.wait(timedelta(seconds=left))
                answer = await self._ask(request)
            if isinstance(answer, Grant):
                return answer
            place = answer

    async def _merge_in_order(self, request: TakeRequest, leader: Mergeable, combine: Combine) -> Waiting | None:
        """Put this input into the one that waits, after those of this process that came before; None: it has changed.

        All that saw the same input would change it at the same time, and all but one would have to look again.
        """
        merging = self._merging.setdefault((request.story_id, leader.branch_number, leader.ticket), _Merging())
        async with merging.lock:
            if merging.latest is not None and merging.latest.merges > leader.merges:
                leader = merging.latest
            both = await self._merge(request, leader, combine)
            if both is None:
                return None
            merging.latest = replace(leader, merges=leader.merges + 1, input=both)
        return Waiting(leader.branch_number, leader.request_key, None)

    async def _merge(self, request: TakeRequest, leader: Mergeable, combine: Combine) -> TurnInput | None:
        """Put this input into the one that waits and return what it is now; None, when it has changed meanwhile."""
        both = combine(leader.input, request.input)
        if not isinstance(both, TurnInput):
            raise InvalidType("combine", f"must return a TurnInput, not {type(both).__name__}")
        merged = await self._services.unit.write_single_idempotent(merge_inputs, request, leader, both)
        return both if merged else None

    async def _withdraw(self, request: TakeRequest) -> None:
        if (answer := self._under_way.pop(request.owner, None)) is not None:
            await asyncio.wait([answer])
        try:
            await self._services.unit.write_idempotent(withdraw, request)
        except LivingWorldError:  # then the place and the lease end by themselves
            return


def _topic(request: TakeRequest, place: Waiting | Mergeable) -> str:
    """Return what to wait for at a place: the end of the turn that it follows, or its own turn."""
    follows = place.request_key if isinstance(place, Mergeable) else place.follows
    if follows is not None:
        return end_topic(request.story_id, follows)
    return turn_topic(request.story_id, request.request_key)


def _patient(request: TakeRequest, place: Waiting | Mergeable) -> TakeRequest:
    """Return a request that goes on waiting, whatever its policy, when the turn that it follows is given up.

    It replaces no turn of its player any more: one that was asked for later replaces it.
    """
    follows = isinstance(place, Waiting) and place.follows is not None
    busy = "queue" if follows and request.busy in {"reject", "replace"} else request.busy
    return replace(request, busy=busy, replace_own=False)
