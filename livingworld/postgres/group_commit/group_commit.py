"""Group commit: requests that wait to be written at the same moment in one process are written by one statement.

What arrives while statements are under way goes with the next one. Where much waits, several statements work at once,
each with its share. A story has at most one statement under way, so its requests are carried out in their order.

A request that cannot be written with the others delays its own story only. A story that another transaction holds is
taken out of the group, waited for once with others of its kind for a moment, and then alone. Where a group met several
such stories, other processes write them in groups too, and the next groups wait for that moment at once. A group that
fails is divided: by stories when it met a lock or took too long, which costs the other stories one try, and into halves
when an input was refused. No other part waits for the story of a part.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, Generic
from uuid import UUID

from livingworld.deadlines import call_end, without_deadline
from livingworld.errors import Closed, LockTimeout
from livingworld.observability.calls import current_call
from livingworld.observability.metrics import Metrics
from livingworld.postgres.group_commit.call_ends import CallEnds
from livingworld.postgres.group_commit.group_meter import GroupMeter, share
from livingworld.postgres.group_commit.pacing import GROUP, PROMPT, STATEMENTS, Pacing
from livingworld.postgres.group_commit.requests import (
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
from livingworld.postgres.group_commit.sending import Sending
from livingworld.postgres.group_commit.story_queues import StoryQueues
from livingworld.postgres.transactions.transaction import Transaction

#: A group is divided when it takes so long, and so many times longer than groups do.
_OVERDUE: Final = timedelta(milliseconds=50)
_OVERDUE_TIMES: Final = 5


class GroupCommit(Generic[Q, R]):
    """The requests of one kind and one world in this process."""

    def __init__(
        self,
        database: Runner,
        world_id: UUID,
        send: Send[Q, R],
        limits: GroupLimits | None = None,
        meter: GroupMeter | None = None,
    ) -> None:
        self._database = database
        self._world_id = world_id
        self._send = Sending(world_id, send)
        self._limits = limits or GroupLimits()
        self._queues = StoryQueues[Q, R]()
        #: Counts what is sent.
        self.meter = meter or GroupMeter(Metrics(), "other")
        self.meter.add(self._queues)
        self._ends = CallEnds()
        self._pacing = Pacing(self._limits.worthwhile, self._start_statements)
        #: For the parts of divided groups: more at once would open cold connections and crowd out other calls.
        self._parts = asyncio.Semaphore(STATEMENTS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._closed = False
        self._usual_seconds = 0.0

    def submit(self, request: Q) -> asyncio.Future[R]:
        """Have one request carried out; cancelled before it was sent, it is not sent. Raises Closed and Overloaded."""
        if self._closed:
            raise Closed
        self._queues.refuse_one_more(request.story_id.int, self._limits.of_a_story)
        end = call_end(self._limits.call_timeout)
        characters = request.characters
        if self._limits.backlog is not None:
            self._limits.backlog.enter(characters)
        loop = asyncio.get_running_loop()
        result: asyncio.Future[R] = loop.create_future()
        call = current_call.get()
        if call is not None:
            call.story_id = request.story_id
        waiter = Waiter(request, result, loop.time(), end, request.story_id.int, characters, call)
        result.add_done_callback(partial(self._forget, waiter))
        self._ends.add(waiter)
        self._queues.add(waiter)
        self._schedule()
        return result

    def recall(self, request: Q, result: asyncio.Future[R]) -> None:
        """Cancel a request that was not sent yet; one that is under way is left to its answer."""
        if result in self._queues.waiting.get(request.story_id.int, ()):
            result.cancel()

    async def close(self) -> None:
        """Wait until everything that was asked for has its answer, and refuse whatever is asked for from now on."""
        self._closed = True
        while self._tasks or self._queues.waiting:
            self._start_statements()
            await asyncio.gather(*(left := tuple(self._tasks)))
            self._tasks.difference_update(left)  # as in BackgroundTasks.close

    def _forget(self, waiter: Waiter[Q, R], _: asyncio.Future[R]) -> None:
        """Leave the queue: the request has its answer, or its caller is gone."""
        self._ends.discard(waiter)
        if self._limits.backlog is not None:
            self._limits.backlog.leave(waiter.characters)
        if not waiter.sent:
            self._queues.remove(waiter)

    def _schedule(self) -> None:
        """Start statements once the tasks that are ready now have brought their requests too."""
        if not self._scheduled and self._queues.stories_ready:
            self._scheduled = True
            self._start(self._write_what_waits())

    async def _write_what_waits(self) -> None:
        """Write one group in this task, which saves a lone request a turn of the loop, and the others beside it."""
        self._scheduled = False
        groups = self._next_groups()
        for group in groups[1:]:
            self._start(self._write_group(*group))
        if groups:
            await self._write_group(*groups[0])

    def _start_statements(self) -> None:
        """Start the statements that pay."""
        for group in self._next_groups():
            self._start(self._write_group(*group))

    def _next_groups(self) -> list[tuple[list[Waiter[Q, R]], object]]:
        """Take the groups whose statements pay, each its share of what waits: server and process work at once."""
        groups: list[tuple[list[Waiter[Q, R]], object]] = []
        while (size := self._pacing.share(self._queues)) and (group := self._queues.take_group(size)):
            groups.append((group, self._pacing.begin()))
        self._pacing.overtake_later(self._queues)
        return groups

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, context=without_deadline())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _release(self, stories: Iterable[int]) -> None:
        """Let others of the stories be sent."""
        for story in stories:
            self._queues.release(story)
        self._schedule()

    async def _write_group(self, group: list[Waiter[Q, R]], statement: object) -> None:
        """Write a group, and hand what could not be written with it to statements of their own."""
        try:
            await self._write_stories(group, wait=self._pacing.is_crowded)
        finally:
            self._pacing.end(statement)
            self._schedule()

    async def _write_stories(self, group: list[Waiter[Q, R]], *, wait: bool = False) -> None:
        """Write a group by one statement, and start statements for the parts that it left.

        What it left out because other transactions had the stories is tried once more, together, and waits: those are
        mostly groups of other processes, which take a moment. A story that is held for longer is waited for alone.
        """
        parts: list[list[Waiter[Q, R]]] = []
        try:
            parts = await self._write(group, wait=wait)
        finally:
            left = {waiter.story for part in parts for waiter in part}
            self._release({waiter.story for waiter in group} - left)
        for part in parts:
            alone = part == group and len(by_story(part)) == 1
            self._start(self._write_story(part) if alone else self._write_part(part, wait=not wait))

    async def _write_part(self, part: list[Waiter[Q, R]], *, wait: bool) -> None:
        """Write what a group has left; a part that takes long is overtaken by the next."""
        await self._parts.acquire()
        overtaken = asyncio.get_running_loop().call_later(PROMPT.total_seconds(), self._parts.release)
        try:
            await self._write_stories(part, wait=wait)
        finally:
            if overtaken.when() > asyncio.get_running_loop().time():
                overtaken.cancel()
                self._parts.release()

    async def _write(self, group: list[Waiter[Q, R]], *, wait: bool) -> list[list[Waiter[Q, R]]]:
        """Write a group, answer its waiters, and return the parts that have to be tried again."""
        began = asyncio.get_running_loop().time()
        try:
            results = await self._carry_out(group, timedelta(0), self._send.waiting if wait else self._send.group)
        except asyncio.CancelledError:
            cancel_all(group)
            raise
        except Exception as error:  # noqa: BLE001 - each waiter gets the error
            parts = divided(group, error)
            answer_all(set(group).difference(*parts), error)
            return parts
        finally:
            if len(group) > 1 and not wait:
                self._usual_seconds += (asyncio.get_running_loop().time() - began - self._usual_seconds) / 8
        left = answer_each(group, results)
        if not wait and len(by_story(left)) > 1:
            self._pacing.met_others()
        return [left] if left else []

    async def _write_story(self, waiters: list[Waiter[Q, R]]) -> None:
        """Carry out requests of one story by themselves, in their order; it may be held."""
        held_since = asyncio.get_running_loop().time()
        parts = deque([waiters])
        try:
            while parts:
                part = [waiter for waiter in parts.popleft() if not waiter.result.done()]
                parts.extendleft(reversed(await self._write_in_order(part, held_since) if part else []))
        finally:
            self._release([waiters[0].story])

    async def _write_in_order(self, part: list[Waiter[Q, R]], held_since: float) -> list[list[Waiter[Q, R]]]:
        """Write requests of one story, wait where it is held, and return what is still to be written, in parts."""
        now = asyncio.get_running_loop().time
        ends = [waiter.lock_wait_end(held_since, self._limits.lock_timeout) for waiter in part]
        try:
            results = await self._carry_out(part, timedelta(seconds=max(min(ends) - now(), 0)), self._send.one_story)
        except asyncio.CancelledError:
            cancel_all(part)
            raise
        except LockTimeout as error:
            over = [waiter for waiter, end in zip(part, ends, strict=True) if end <= max(now(), min(ends))]
            answer_all(over, error)
            left = [waiter for waiter in part if waiter not in over]
            self._queues.take(over[0].story, left, GROUP)  # later requests have waited for the same row
            return [left] if left else []
        except Exception as error:  # noqa: BLE001 - as in _write
            if len(part) > 1 and not fails_every_request(error):
                return [part[: len(part) // 2], part[len(part) // 2 :]]
            answer_all(part, error)
            return []
        left = answer_each(part, results)
        return [left] if left else []

    async def _carry_out(
        self,
        group: list[Waiter[Q, R]],
        lock_timeout: timedelta,
        send: Callable[[Transaction, Sequence[Q]], Awaitable[list[R | NotTried]]],
    ) -> list[R | NotTried]:
        requests = [waiter.request for waiter in group]
        usual = timedelta(seconds=self._usual_seconds)
        measure, sent_at = self.meter.sending(group), asyncio.get_running_loop().time()
        try:
            return await self._database.run(
                lambda tx: send(tx, requests),
                repeatable=all(request.repeatable for request in requests),
                single_statement=True,
                world_id=self._world_id,
                lock_timeout=lock_timeout,
                overdue=max(_OVERDUE, usual * _OVERDUE_TIMES) if len(group) > 1 else None,
            )
        finally:
            share(measure, group, sent_at)
