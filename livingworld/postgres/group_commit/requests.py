"""What a group commit is made of: requests, their results, who waits for them, and how a failed group is divided."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

from livingworld.errors import (
    CallTimeout,
    Closed,
    CommitUnknown,
    LivingWorldError,
    LockTimeout,
    Overloaded,
    PoolTimeout,
    SchemaNotReady,
    StatementTimeout,
    Unavailable,
)
from livingworld.errors.base import own_copy
from livingworld.observability.calls import CallMeasure
from livingworld.postgres.transactions.backlog import Backlog
from livingworld.postgres.transactions.transaction import Transaction, Work

#: So long before the end of a call its wait for a lock ends, and so long after it a certain answer may still come:
#: later the outcome of a write that was sent is unknown.
_MARGIN_SECONDS: Final = 0.05
_GRACE_SECONDS: Final = 1.0
#: Errors that every request of a group would meet.
_COMMON_FAILURES: Final = (Unavailable, PoolTimeout, CallTimeout, Closed, Overloaded, SchemaNotReady)


class Request(Protocol):
    """Something to write in one story."""

    @property
    def story_id(self) -> UUID:
        """The story it is written in."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether carrying it out twice has the effect of carrying it out once."""
        ...

    @property
    def characters(self) -> int:
        """About how many characters of text it brings."""
        ...


@dataclass(frozen=True, slots=True)
class NotTried:
    """The outcome of a request that its statement left out: it is sent again, without requests of other stories."""

    #: Whether another transaction holds the story; otherwise the request is deferred to a statement of its own.
    is_locked: bool


#: By the status in which the functions report it.
NOT_TRIED: Final = {"locked": NotTried(is_locked=True), "deferred": NotTried(is_locked=False)}


Q = TypeVar("Q", bound=Request)
R = TypeVar("R")
T = TypeVar("T")
Q_contra = TypeVar("Q_contra", bound=Request, contravariant=True)


class Send(Protocol[Q_contra, R]):
    """The one statement that carries out a group."""

    async def __call__(self, tx: Transaction, requests: Sequence[Q_contra], *, wait: bool) -> list[R | NotTried]:
        """Return one result for each request, in order; `wait` for stories that others hold."""
        ...


class Runner(Protocol):
    """What runs the statements: Database."""

    async def run(
        self,
        work: Work[T],
        *,
        repeatable: bool = False,
        single_statement: bool = False,
        world_id: UUID | None = None,
        lock_timeout: timedelta | None = None,
        overdue: timedelta | None = None,
    ) -> T:
        """Run `work` as one transaction; see Database.run."""
        ...


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """How long a request waits, and how many may."""

    call_timeout: timedelta = timedelta(seconds=30)
    lock_timeout: timedelta = timedelta(seconds=5)
    backlog: Backlog | None = None
    #: Most requests of one kind that wait for one story.
    of_a_story: int = 1_000
    #: Fewer requests wait for the statements before them, as long as these are prompt.
    worthwhile: int = 8


@dataclass(slots=True, eq=False)
class Waiter(Generic[Q, R]):
    """A request and who waits for its result."""

    request: Q
    result: asyncio.Future[R]
    #: When it was asked for and when the call is over, in seconds of the loop's clock.
    asked: float
    end: float
    #: The number of the story's id, and about how many characters of text it brings.
    story: int
    characters: int
    #: The call that it is a part of, where somebody follows it.
    call: CallMeasure | None = None
    sent: bool = False
    #: Whether a statement has carried it before, which did not carry it out.
    tried: bool = False

    def lock_wait_end(self, held_since: float, lock_timeout: timedelta) -> float:
        """Return when it has waited long enough for its story: a little before its call is over."""
        return min(max(self.asked, held_since) + lock_timeout.total_seconds(), self.end - _MARGIN_SECONDS)

    def answer(self, outcome: R | Exception) -> None:
        """Give the outcome to the caller, unless it was cancelled or the call's time is over."""
        if self.result.done():
            return
        if isinstance(outcome, Exception):
            self.result.set_exception(outcome)
        else:
            self.result.set_result(outcome)

    def time_is_over(self) -> None:
        """End the call at its deadline; a request that was sent gets a moment more: its answer would be certain."""
        if self.sent and not self.request.repeatable:
            asyncio.get_running_loop().call_later(_GRACE_SECONDS, self.answer, CommitUnknown())
        else:
            self.answer(CallTimeout())


def fails_every_request(error: Exception) -> bool:
    """Return whether every other request would fail in the same way, so that dividing them is of no use."""
    return isinstance(error, _COMMON_FAILURES) or not isinstance(error, LivingWorldError)


def divided(group: list[Waiter[Q, R]], error: Exception) -> list[list[Waiter[Q, R]]]:
    """Return the parts of a failed group that are tried again: its stories, two halves of them, or nothing.

    After a lost answer only a request that may be repeated learns what happened; the others stay unknown.
    """
    if isinstance(error, CommitUnknown):
        group = [waiter for waiter in group if waiter.request.repeatable]
    elif fails_every_request(error) or (len(group) == 1 and not isinstance(error, LockTimeout)):
        return []
    stories = list(by_story(group).values())
    if isinstance(error, CommitUnknown | LockTimeout | StatementTimeout) or len(stories) == 1:
        return stories
    middle = len(stories) // 2
    return [list(chain(*stories[:middle])), list(chain(*stories[middle:]))]


def answer_each(group: list[Waiter[Q, R]], results: list[R | NotTried]) -> list[Waiter[Q, R]]:
    """Give the waiters their outcomes, and return the waiters whose requests were not tried."""
    left = []
    for waiter, result in zip(group, results, strict=True):
        if isinstance(result, NotTried):
            left.append(waiter)
        else:
            waiter.answer(result)
    return left


def answer_all(group: Iterable[Waiter[Q, R]], error: Exception) -> None:
    """Give every waiter the same error."""
    for waiter in group:
        waiter.answer(own_copy(error))


def cancel_all(group: Iterable[Waiter[Q, R]]) -> None:
    """Cancel every waiter."""
    for waiter in group:
        waiter.result.cancel()


def by_story(group: Iterable[Waiter[Q, R]]) -> dict[int, list[Waiter[Q, R]]]:
    """Return the waiters by story, both in their order."""
    stories: dict[int, list[Waiter[Q, R]]] = {}
    for waiter in group:
        stories.setdefault(waiter.story, []).append(waiter)
    return stories
