"""Group commit: what waits to be written at the same moment in one process is written by one statement.

Nothing is delayed to make a group: what arrives while statements are under way goes with the next one. A story has at
most one statement under way, so its requests are carried out in the order in which they were asked for, and a story
that another transaction holds is taken out of the group and waited for alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

from livingworld.database.transaction import Transaction, UnitOfWork
from livingworld.errors import Closed, CommitUnknown, Conflict, DatabaseFailure, NotFound
from livingworld.errors.base import own_copy

#: Most statements under way at once, not counting those that wait for one story.
_STATEMENTS: Final = 4
#: So long the next statement waits for the one before it.
_PROMPT: Final = timedelta(milliseconds=20)
#: Most statements that may at once wait for a story which another transaction holds.
_WAITING_STATEMENTS: Final = 4
#: Most requests of one statement.
_GROUP: Final = 64
#: Most characters of text of one statement, beyond its first request.
_GROUP_CHARACTERS: Final = 4_000_000


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


class Result(Protocol):
    """What became of a request."""

    @property
    def must_go_alone(self) -> bool:
        """Whether nothing was tried, because the story is held by others or another request stands before it."""
        ...


Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound=Result)
Q_contra = TypeVar("Q_contra", bound=Request, contravariant=True)


class Send(Protocol[Q_contra, R]):
    """The one statement that carries out a group."""

    async def __call__(self, tx: Transaction, world_id: UUID, requests: Sequence[Q_contra], *, wait: bool) -> list[R]:
        """Return one result for each request, in order; `wait` for stories that others hold."""
        ...


@dataclass(slots=True)
class _Waiter(Generic[Q, R]):
    request: Q
    result: asyncio.Future[R]

    def answer(self, outcome: R | Exception) -> None:
        if self.result.done():  # the caller was cancelled
            return
        if isinstance(outcome, Exception):
            self.result.set_exception(outcome)
        else:
            self.result.set_result(outcome)


class GroupCommit(Generic[Q, R]):
    """The requests of one kind and one world in this process."""

    def __init__(self, unit: UnitOfWork, world_id: UUID, send: Send[Q, R]) -> None:
        self._unit = unit
        self._world_id = world_id
        self._send = send
        self._waiting: dict[UUID, list[_Waiter[Q, R]]] = {}
        self._busy: set[UUID] = set()
        self._statements = 0
        #: The statements under way that nobody need overtake yet.
        self._prompt: set[object] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._closed = False
        self._lock_waits = asyncio.Semaphore(_WAITING_STATEMENTS)

    def submit(self, request: Q) -> asyncio.Future[R]:
        """Have one request carried out; cancelled before it was sent, it is not sent. Raises Closed."""
        if self._closed:
            raise Closed
        waiter = _Waiter[Q, R](request, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(request.story_id, []).append(waiter)
        self._schedule()
        return waiter.result

    def recall(self, request: Q, result: asyncio.Future[R]) -> None:
        """Cancel a request that was not sent yet; one that is under way is left to its answer."""
        if any(waiter.result is result for waiter in self._waiting.get(request.story_id, ())):
            result.cancel()

    async def close(self) -> None:
        """Wait until everything that was asked for has its answer, and refuse whatever is asked for from now on."""
        self._closed = True
        while self._tasks or self._waiting:
            self._start_statements()
            await asyncio.gather(*(left := tuple(self._tasks)))
            self._tasks.difference_update(left)  # as in BackgroundTasks.close

    def _schedule(self) -> None:
        """Start once the tasks that are ready now have brought their requests too."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start_statements)

    def _start_statements(self) -> None:
        """Start a statement when no prompt one is under way: one after the other makes the largest groups."""
        self._scheduled = False
        while not self._prompt and self._statements < _STATEMENTS and (group := self._next_group()):
            self._statements += 1
            statement = object()
            self._prompt.add(statement)
            self._start(self._write_group(group, statement))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_group(self) -> list[_Waiter[Q, R]]:
        """Take what waits for stories that are not under way, up to the limits of one statement."""
        group: list[_Waiter[Q, R]] = []
        characters = 0
        for story_id in [story_id for story_id in self._waiting if story_id not in self._busy]:
            waiters = [waiter for waiter in self._waiting.pop(story_id) if not waiter.result.done()]
            while waiters and len(group) < _GROUP and (not group or characters < _GROUP_CHARACTERS):
                waiter = waiters.pop(0)
                characters += waiter.request.characters
                group.append(waiter)
                self._busy.add(story_id)
            if waiters:
                self._waiting[story_id] = waiters
        return group

    async def _write_group(self, group: list[_Waiter[Q, R]], statement: object) -> None:
        """Write a group, and hand what could not be written at once to statements of their own."""
        left: list[_Waiter[Q, R]] = []
        too_slow = asyncio.get_running_loop().call_later(_PROMPT.total_seconds(), self._no_longer_prompt, statement)
        try:
            left = await self._write(group, wait=False)
        finally:
            too_slow.cancel()
            self._prompt.discard(statement)
            self._statements -= 1
            alone = _by_story(left)
            self._busy -= _by_story(group).keys() - alone.keys()
            for waiters in alone.values():
                self._start(self._write_when_free(waiters))
            self._schedule()

    def _no_longer_prompt(self, statement: object) -> None:
        """Let others go ahead of a statement that takes long, whatever holds it up."""
        self._prompt.discard(statement)
        self._start_statements()

    async def _write_when_free(self, waiters: list[_Waiter[Q, R]]) -> None:
        """Carry out requests of one story that another transaction holds, or that follow from each other."""
        story_id = waiters[0].request.story_id
        try:
            async with self._lock_waits:
                # The first is always answered; whoever was cancelled meanwhile is not sent.
                while waiters := [waiter for waiter in waiters if not waiter.result.done()]:
                    waiters = await self._write(waiters, wait=True)
        finally:
            self._busy.discard(story_id)
            self._schedule()

    async def _write(self, group: list[_Waiter[Q, R]], *, wait: bool) -> list[_Waiter[Q, R]]:
        """Write a group, answer its waiters, and return those who must go alone."""
        try:
            results = await self._carry_out(group, wait=wait)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            alone = _may_go_alone(group, error)
            _answer_all([waiter for waiter in group if waiter not in alone], error)
        except asyncio.CancelledError:
            for waiter in group:
                waiter.result.cancel()
            raise
        else:
            return _answer_each(group, results)
        for waiter in alone:
            await self._write([waiter], wait=True)
        return []

    async def _carry_out(self, group: list[_Waiter[Q, R]], *, wait: bool) -> list[R]:
        requests = [waiter.request for waiter in group]
        return await self._unit.run(
            lambda tx: self._send(tx, self._world_id, requests, wait=wait),
            repeatable=all(request.repeatable for request in requests),
            single_statement=True,
        )


def _may_go_alone(group: list[_Waiter[Q, R]], error: Exception) -> list[_Waiter[Q, R]]:
    """Return those of a failed group that may be tried alone, so that one bad request fails by itself.

    After a lost answer only one that may be repeated can tell what happened; without that it stays unknown.
    """
    if len(group) == 1:
        return []
    if isinstance(error, CommitUnknown):
        return [waiter for waiter in group if waiter.request.repeatable]
    return group if isinstance(error, DatabaseFailure | NotFound | Conflict) else []


def _answer_each(group: list[_Waiter[Q, R]], results: list[R]) -> list[_Waiter[Q, R]]:
    locked = []
    for waiter, result in zip(group, results, strict=True):
        if result.must_go_alone:
            locked.append(waiter)
        else:
            waiter.answer(result)
    return locked


def _answer_all(group: Iterable[_Waiter[Q, R]], error: Exception) -> None:
    for waiter in group:
        waiter.answer(own_copy(error))


def _by_story(group: Iterable[_Waiter[Q, R]]) -> dict[UUID, list[_Waiter[Q, R]]]:
    stories: dict[UUID, list[_Waiter[Q, R]]] = {}
    for waiter in group:
        stories.setdefault(waiter.request.story_id, []).append(waiter)
    return stories
