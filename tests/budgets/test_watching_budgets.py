"""What watching adds to an append, in function calls: no machine is too busy for that, and no run too short."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, Tracer, use_span

from livingworld.observability.opentelemetry_spans import about
from livingworld.tracing import trace_calls
from tests.budgets.operations import SCENE
from tests.budgets.test_budgets import over_budget
from tests.isolation.function_calls import calls_of
from tests.support.quiet import open_quietly

_FILE: Final = Path(__file__).with_name("budgets.toml")
_NAME: Final = "what watching adds to an append"
#: Where counting is.
_WATCHING: Final = ("/observability/", "/unit_meter.py", "/group_meter.py", "/contention.py")
_ABOUT: Final = about("stories.append_scene")
#: As many as a span of an append has.
_FOUND: Final = {f"livingworld.attribute.{number}": "0" * 36 for number in range(8)}
_WARM_UPS: Final = 8
_RUNS: Final = 8
Work = Callable[[], Awaitable[None]]


async def test_watching_an_append_costs_no_more_than_its_budget(database_url: str) -> None:
    provider = TracerProvider()
    async with open_quietly(database_url) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = (await world.stories.create("The Causeway")).id

        async def append() -> None:
            await world.stories.append_scene(story, SCENE)

        counted = await _least(append, partial(calls_of, inside=_WATCHING))
        alone = await _least(append, calls_of)
        with trace_calls(provider), _below(sampled=False):
            left_out = await _least(append, calls_of)
        with trace_calls(provider), _below(sampled=True):
            spanned = await _least(append, calls_of)
    with _below(sampled=True):
        of_the_sdk = await _least(partial(_bare_span, provider.get_tracer("bare")), calls_of)
    provider.shutdown()
    costs = {
        _NAME: {
            "calls_of_counting": counted,
            "calls_below_a_trace_that_is_left_out": left_out - alone,
            "calls_of_a_span_beside_those_of_the_sdk": spanned - alone - of_the_sdk,
        }
    }
    sys.stderr.write(f"{costs}, an append {alone}, a span of the SDK {of_the_sdk}\n")  # shown when the test fails

    assert over_budget(costs, tomllib.loads(_FILE.read_text())) == []


async def _bare_span(tracer: Tracer) -> None:
    span = tracer.start_span("stories.append_scene", kind=SpanKind.CLIENT, attributes=_ABOUT)
    span.set_attributes(_FOUND)
    span.end()


@contextmanager
def _below(*, sampled: bool) -> Iterator[None]:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    with use_span(NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True, trace_flags=flags))):
        yield


async def _least(work: Work, count: Callable[[Work], Awaitable[int]]) -> int:
    for _ in range(_WARM_UPS):
        await work()
    return min([await count(work) for _ in range(_RUNS)])
