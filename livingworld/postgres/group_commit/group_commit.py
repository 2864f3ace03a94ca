"""Group commit: requests that wait to be written at the same moment in one process are written by one statement.

No request is delayed to make a group: what arrives while statements are under way goes with the next one. A story has
at most one statement under way, so its requests are carried out in the order in which they arrived.

A request that cannot be written with the others delays its own story only. A story that another transaction holds is
taken out of the group and waited for alone. A group that fails is divided: by stories when it met a lock or took too
long, which costs the other stories one try, and into halves when an input was refused. No part ever waits for the story
of another part.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any, Final, Generic
from uuid import UUID

from livingworld.deadlines import call_end, without_deadline
from livingworld.errors import Closed, LockTimeout
from livingworld.postgres.group_commit.requests import (
    MARGIN_SECONDS,
    GroupLimits,
    NotTried,
    Q,
    R,
    Runner,
    Send,
    Waiter,
    answer_all,
    answer_each,
    by_story,
    cancel_all,
    divided,
    fails_every_request,
)
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

#: Most statements under way at once, not counting those of one story alone.
_STATEMENTS: Final = 4
#: So long the next statement waits for the one before it.
_PROMPT: Final = timedelta(milliseconds=20)
#: A group is divided when it takes so long, and so many times longer than groups do.
_OVERDUE: Final = timedelta(milliseconds=50)
_OVERDUE_TIMES: Final = 5
#: Most requests of one statement.
_GROUP: Final = 64
#: Most characters of text of one statement, beyond its first request.
_GROUP_CHARACTERS: Final = 4_000_000


class GroupCommit(Generic[Q, R]):
    """The requests of one kind and one world in this process."""

    def __init__(self, database: Runner, world_id: UUID, send: Send[Q, R], limits: GroupLimits | None = None) -> None:
        self._database = database
        self._world_id = world_id
        self._send = send
        self._limits = limits or GroupLimits()
        #: What was not sent yet, by story and in the order of arrival.
        self._waiting: dict[UUID, OrderedDict[asyncio.Future[R], Waiter[Q, R]]] = {}
        #: Its stories that are not under way, in the order in which they get their turn.
        self._ready: OrderedDict[UUID, None] = OrderedDict()
        self._busy: set[UUID] = set()
        self._statements = 0
        #: The statements under way that are not overtaken yet.
        self._prompt: set[object] = set()
        #: For the parts of divided groups: more at once would open cold connections and crowd out other calls.
        self._parts = asyncio.Semaphore(_STATEMENTS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._closed = False
        self._usual_seconds = 0.0

    def submit(self, request: Q) -> asyncio.Future[R]:
        """Have one request carried out; cancelled before it was sent, it is not sent. Raises Closed and Overloaded."""
        if self._closed:
            raise Closed
        end = call_end(self._limits.call_timeout)
        if self._limits.backlog is not None:
            self._limits.backlog.enter(request.characters)
        loop = asyncio.get_running_loop()
        waiter = Waiter[Q, R](request, loop.create_future(), loop.time(), end)
        timer = loop.call_at(end, waiter.time_is_over)
        waiter.result.add_done_callback(partial(self._forget, waiter, timer))
        self._waiting.setdefault(request.story_id, OrderedDict())[waiter.result] = waiter
        if request.story_id not in self._busy:
            self._ready[request.story_id] = None
        self._schedule()
        return waiter.result

    def recall(self, request: Q, result: asyncio.Future[R]) -> None:
        """Cancel a request that was not sent yet; one that is under way is left to its answer."""
        if result in self._waiting.get(request.story_id, ()):
            result.cancel()

    async def close(self) -> None:
        """Wait until everything that was asked for has its answer, and refuse whatever is asked for from now on."""
        self._closed = True
        while self._tasks or self._waiting:
            self._start_statements()
            await asyncio.gather(*(left := tuple(self._tasks)))
            self._tasks.difference_update(left)  # as in BackgroundTasks.close

    def _forget(self, waiter: Waiter[Q, R], timer: asyncio.TimerHandle, result: asyncio.Future[R]) -> None:
        """Leave the queue: the request has its answer, or its caller is gone."""
        timer.cancel()
        if self._limits.backlog is not None:
            self._limits.backlog.leave(waiter.request.characters)
        if not waiter.sent:
            story_id = waiter.request.story_id
            del self._waiting[story_id][result]
            if not self._waiting[story_id]:
                del self._waiting[story_id]
                self._ready.pop(story_id, None)

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
        task = asyncio.create_task(work, context=without_deadline())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_group(self) -> list[Waiter[Q, R]]:
        """Take what waits for stories that are not under way, up to the limits of one statement."""
        group: list[Waiter[Q, R]] = []
        characters = 0
        while self._ready and len(group) < _GROUP and characters < _GROUP_CHARACTERS:
            story_id, _ = self._ready.popitem(last=False)
            before = len(group)
            characters = self._take(story_id, group, characters)
            if len(group) > before:
                self._busy.add(story_id)
        return group

    def _take(self, story_id: UUID, group: list[Waiter[Q, R]], characters: int = 0) -> int:
        """Move what waits for a story into a group that has so many characters, and return how many it has then."""
        queue = self._waiting.get(story_id, OrderedDict())
        while queue and len(group) < _GROUP and characters < _GROUP_CHARACTERS:
            _, waiter = queue.popitem(last=False)
            waiter.sent = True
            if not waiter.result.done():  # cancelled in this very turn of the loop
                characters += waiter.request.characters
                group.append(waiter)
        if not queue:
            self._waiting.pop(story_id, None)
        return characters

    def _release(self, story_id: UUID) -> None:
        """Let others of the story be sent."""
        self._busy.discard(story_id)
        if story_id in self._waiting:
            self._ready[story_id] = None
        self._schedule()

    async def _write_group(self, group: list[Waiter[Q, R]], statement: object) -> None:
        """Write a group, and hand what could not be written with it to statements of their own."""
        too_slow = asyncio.get_running_loop().call_later(_PROMPT.total_seconds(), self._no_longer_prompt, statement)
        try:
            await self._write_stories(group)
        finally:
            too_slow.cancel()
            self._prompt.discard(statement)
            self._statements -= 1
            self._schedule()

    def _no_longer_prompt(self, statement: object) -> None:
        """Let others go ahead of a statement that takes long, whatever holds it up."""
        self._prompt.discard(statement)
        self._start_statements()

    async def _write_stories(self, group: list[Waiter[Q, R]]) -> None:
        """Write a group by one statement that waits for no lock, and start statements for the parts that it left."""
        parts: list[list[Waiter[Q, R]]] = []
        try:
            parts = await self._write(group)
        finally:
            for story_id in by_story(group).keys() - by_story(chain(*parts)).keys():
                self._release(story_id)
        for part in parts:
            self._start(self._write_story(part) if part == group else self._write_part(part))

    async def _write_part(self, part: list[Waiter[Q, R]]) -> None:
        """Write a part of a divided group; one that takes long is overtaken by the next."""
        await self._parts.acquire()
        overtaken = asyncio.get_running_loop().call_later(_PROMPT.total_seconds(), self._parts.release)
        try:
            await self._write_stories(part)
        finally:
            if overtaken.when() > asyncio.get_running_loop().time():
                overtaken.cancel()
                self._parts.release()

    async def _write(self, group: list[Waiter[Q, R]]) -> list[list[Waiter[Q, R]]]:
        """Write a group, answer its waiters, and return the parts that have to be tried by themselves."""
        began = asyncio.get_running_loop().time()
        try:
            results = await self._carry_out(group, timedelta(0))
        except asyncio.CancelledError:
            cancel_all(group)
            raise
        except Exception as error:  # noqa: BLE001 - each waiter gets the error
            parts = divided(group, error)
            answer_all(set(group).difference(*parts), error)
            return parts
        finally:
            if len(group) > 1:
                self._usual_seconds += (asyncio.get_running_loop().time() - began - self._usual_seconds) / 8
        return list(by_story(answer_each(group, results)).values())

    async def _write_story(self, waiters: list[Waiter[Q, R]]) -> None:
        """Carry out requests of one story by themselves, in their order; it may be held."""
        held_since = asyncio.get_running_loop().time()
        parts = deque([waiters])
        try:
            while parts:
                part = [waiter for waiter in parts.popleft() if not waiter.result.done()]
                parts.extendleft(reversed(await self._write_in_order(part, held_since) if part else []))
        finally:
            self._release(waiters[0].request.story_id)

    async def _write_in_order(self, part: list[Waiter[Q, R]], held_since: float) -> list[list[Waiter[Q, R]]]:
        """Write requests of one story, wait where it is held, and return what is still to be written, in parts."""
        now = asyncio.get_running_loop().time
        ends = [self._lock_wait_end(waiter, held_since) for waiter in part]
        try:
            results = await self._carry_out(part, timedelta(seconds=max(min(ends) - now(), 0)), alone=True)
        except asyncio.CancelledError:
            cancel_all(part)
            raise
        except LockTimeout as error:
            over = [waiter for waiter, end in zip(part, ends, strict=True) if end <= max(now(), min(ends))]
            answer_all(over, error)
            left = [waiter for waiter in part if waiter not in over]
            self._take(over[0].request.story_id, left)  # later requests have waited for the same row
            return [left] if left else []
        except Exception as error:  # noqa: BLE001 - as in _write
            if len(part) > 1 and not fails_every_request(error):
                return [part[: len(part) // 2], part[len(part) // 2 :]]
            answer_all(part, error)
            return []
        left = answer_each(part, results)
        return [left] if left else []

    def _lock_wait_end(self, waiter: Waiter[Q, R], held_since: float) -> float:
        """Return when a request has waited long enough for its story: a little before its call is over."""
        limit = self._limits.lock_timeout.total_seconds()
        return min(max(waiter.asked, held_since) + limit, waiter.end - MARGIN_SECONDS)

    async def _carry_out(
        self, group: list[Waiter[Q, R]], lock_timeout: timedelta, *, alone: bool = False
    ) -> list[R | NotTried]:
        requests = [waiter.request for waiter in group]
        send = self._send_story if alone else self._send_group
        usual = timedelta(seconds=self._usual_seconds)
        return await self._database.run(
            lambda tx: send(tx, requests),
            repeatable=all(request.repeatable for request in requests),
            single_statement=True,
            world_id=self._world_id,
            lock_timeout=lock_timeout,
            overdue=max(_OVERDUE, usual * _OVERDUE_TIMES) if len(group) > 1 else None,
        )

    async def _send_group(self, tx: Transaction, requests: Sequence[Q]) -> list[R | NotTried]:
        return await self._send(tx, requests, wait=False)

    async def _send_story(self, tx: Transaction, requests: Sequence[Q]) -> list[R | NotTried]:
        tx.locks(LockKind.STORY, self._world_id, requests[0].story_id)
        results = await self._send(tx, requests, wait=tx.may_wait)
        first = results[0]
        if not isinstance(first, NotTried):
            return results
        if first.is_locked:
            tx.refuse_to_wait()
        return await self._send(tx, requests, wait=True)
