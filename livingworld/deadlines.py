"""The deadline of a call: a moment of the event loop's clock that travels with the caller's context."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, Token, copy_context
from datetime import timedelta
from typing import Final, TypeVar

from livingworld.errors import CallTimeout
from livingworld.inputs import check_duration

T = TypeVar("T")

_end: Final[ContextVar[float | None]] = ContextVar("livingworld_deadline", default=None)


@contextmanager
def deadline(limit: timedelta) -> Iterator[None]:
    """Bound every call inside the block: a call without an answer after `limit` raises CallTimeout.

    The time counts from the start of the block and replaces `Settings.call_timeout`, which it may exceed. Of nested
    deadlines the earlier end counts. A write that was under way and cannot be looked up by a request key raises
    CommitUnknown.
    """
    end = asyncio.get_running_loop().time() + check_duration("limit", limit).total_seconds()
    token = bound_calls(end)
    try:
        yield
    finally:
        _end.reset(token)


def bound_calls(end: float) -> Token[float | None]:
    """Let the calls of this context end at a moment of the loop's clock, or at an earlier one that is set already."""
    outer = _end.get()
    return _end.set(end if outer is None else min(outer, end))


def call_end(limit: timedelta) -> float:
    """Return when a call that begins now has to be over; raises CallTimeout when that is past."""
    now = asyncio.get_running_loop().time()
    end = _end.get()
    if end is None:
        return now + limit.total_seconds()
    if end <= now:
        raise CallTimeout
    return end


class one_call:  # noqa: N801 - used as a function is; a generator would cost as much as a small call
    """Count what the block does as one call of at most `limit`, unless it is a part of a call that has a deadline."""

    __slots__ = ("_limit", "_token")

    def __init__(self, limit: timedelta | None) -> None:
        self._limit = limit
        self._token: Token[float | None] | None = None

    def __enter__(self) -> None:
        """Set the end of the call."""
        if self._limit is not None and _end.get() is None:
            self._token = _end.set(asyncio.get_running_loop().time() + self._limit.total_seconds())

    def __exit__(self, *_: object) -> None:
        """Leave the caller's context as it was."""
        if self._token is not None:
            _end.reset(self._token)


async def before_deadline(work: Awaitable[T]) -> T:
    """Return the result of `work`, or cancel it and raise CallTimeout when the deadline passes."""
    end = _end.get()
    if end is None:
        return await work
    timer = asyncio.timeout_at(end)
    try:
        async with timer:
            return await work
    except TimeoutError:
        if not timer.expired():
            raise
    raise CallTimeout


def without_deadline() -> Context:
    """Return the context for a task that outlives the call which starts it."""
    context = copy_context()
    context.run(_end.set, None)
    return context
