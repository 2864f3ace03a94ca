"""What is called to watch an append, each part by itself: the least of many short runs, which no noise reaches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import UUID

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, use_span

from livingworld.identifiers import new_id
from livingworld.observability.calls import current_call
from livingworld.observability.metrics import Metrics
from livingworld.observability.opentelemetry_spans import Tracing, about
from livingworld.postgres.group_commit.group_meter import GroupMeter
from livingworld.postgres.group_commit.requests import Waiter
from livingworld.postgres.transactions.contention import Contention
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.unit_meter import UnitMeter
from livingworld.settings.database_url import parse_url

_RUNS: Final = 300
_TIMES: Final = 100
_NAME: Final = "stories.append_scene"
#: Where a span of an append comes to after its begin.
FOUND: Final[Mapping[str, Any]] = {
    "db.namespace": "stories",
    "server.address": "localhost",
    "livingworld.statements": 1,
    "livingworld.group.size": 12,
    "livingworld.queue.duration": 0.001,
    "livingworld.server.duration": 0.002,
    "livingworld.world.id": "0" * 36,
    "livingworld.story.id": "0" * 36,
}
ABOUT: Final = about(_NAME)


def caller(*, sampled: bool) -> NonRecordingSpan:
    """Return a span of the caller of a call."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True, trace_flags=flags))


async def parts(group_size: int) -> dict[str, float]:
    """Return the microseconds of each part for each append, in groups of that size."""
    found = {"counting": _counting(group_size)}
    provider = TracerProvider()
    tracing, tracer = Tracing(provider), provider.get_tracer("bare")
    traced = tracing.call(_NAME, _append)

    async def bare(one: object, story_id: UUID) -> None:
        span = tracer.start_span(_NAME, kind=SpanKind.CLIENT, attributes=ABOUT)
        await _append(one, story_id)
        span.set_attributes(FOUND)
        span.end()

    alone = await _least(_append)
    with use_span(caller(sampled=False)):
        found["a call that is not sampled"] = await _least(traced) - alone
    with use_span(caller(sampled=True)):
        found["a span"] = await _least(traced) - alone
        found["a span of the bare SDK"] = await _least(bare) - alone
    provider.shutdown()
    return {name: round(each, 2) for name, each in found.items()}


def _counting(group_size: int) -> float:
    """Return what counting takes: once for a group, and once for each request of it."""
    metrics = Metrics()
    unit, group, contention = (
        UnitMeter(metrics, parse_url("postgresql://nobody@localhost/stories")),
        GroupMeter(metrics, "append"),
        Contention(metrics),
    )
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    request: Any = None
    future = loop.create_future()
    best = float("inf")
    for _ in range(_RUNS):
        groups = [[Waiter(request, future, 0.0, 0.0, 0, 0) for _ in range(group_size)] for _ in range(_TIMES)]
        started = time.perf_counter()
        for waiters in groups:
            group.sending(waiters)
            unit.answered("SELECT livingworld.append_scenes_v1($1)", began, None)
            contention.held(LockKind.STORY, 0.001)
            unit.committed(began)
        best = min(best, time.perf_counter() - started)
    return best / _TIMES / group_size * 1e6


async def _append(_: object, story_id: UUID) -> None:
    if (call := current_call.get()) is not None:
        call.world_id = call.story_id = story_id
        call.server, call.statements, call.group_size = ("stories", "localhost", ""), 1, 12
        call.queue_seconds, call.server_seconds = 0.001, 0.002


async def _least(call: Callable[..., Awaitable[None]]) -> float:
    story_id, best = new_id(), float("inf")
    for _ in range(_RUNS):
        started = time.perf_counter()
        for _ in range(_TIMES):
            await call(None, story_id)
        best = min(best, time.perf_counter() - started)
    return best / _TIMES * 1e6
