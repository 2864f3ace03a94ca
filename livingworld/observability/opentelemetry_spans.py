"""A span of OpenTelemetry for a call: its API only, and imported only where it is asked for.

A span has ids, numbers and the class of an error, never a text: no message of an error, no argument but an id.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import Token
from functools import wraps
from types import TracebackType
from typing import Any, Final

from livingworld.errors import Closed, Conflict, InvalidInput, MissingPackage, NotFound, Refused
from livingworld.observability.calls import CallMeasure, current_call

#: Answers that a caller has to expect: such a span has the error's class, and no status of a failure.
_EXPECTED: Final = (InvalidInput, NotFound, Conflict, Refused, Closed)
#: Its attribute, and the field of a measure.
_NUMBERS: Final = {
    "livingworld.retries": "retries",
    "livingworld.statements": "statements",
    "livingworld.group.size": "group_size",
    "livingworld.queue.duration": "queue_seconds",
    "livingworld.lock.duration": "lock_seconds",
    "livingworld.server.duration": "server_seconds",
}


class Tracing:
    """Makes the spans."""

    def __init__(self, tracer_provider: Any) -> None:  # noqa: ANN401 - OpenTelemetry's
        """Use a TracerProvider (None: the global one); raises MissingPackage."""
        try:
            from opentelemetry import context, trace  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingPackage(package="opentelemetry-api", extra="livingworld[otel]") from error
        self.trace, self.context = trace, context
        self.tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer("livingworld")

    def is_left_out(self) -> bool:
        """Return whether the caller's trace is not sampled: making a span that is not kept costs nearly as much."""
        caller = self.trace.get_current_span().get_span_context()
        return bool(caller.is_valid and not caller.trace_flags.sampled)

    def call(self, name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return a function that is awaited with a span for each call."""
        ids = _ids(function)

        @wraps(function)
        async def traced(*args: Any, **kw: Any) -> Any:  # noqa: ANN401 - those of the function
            if self.is_left_out():
                return await function(*args, **kw)
            span = _Span(self, name)
            try:
                result = await function(*args, **kw)
            except BaseException as error:
                span.end(ids, args, kw, error)
                raise
            span.end(ids, args, kw)
            return result

        return traced

    def block(self, name: str, function: Callable[..., Any], *, whole: bool) -> Callable[..., Any]:
        """Return a function that opens a block with a span: of the whole block, or until it is entered."""
        ids = _ids(function)

        @wraps(function)
        def traced(*args: Any, **kw: Any) -> Any:  # noqa: ANN401 - those of the function
            if self.is_left_out():
                return function(*args, **kw)
            return _Block(lambda: _Span(self, name), function(*args, **kw), (ids, args, kw), whole=whole)

        return traced


class _Block(AbstractAsyncContextManager[Any]):
    """A block and its span."""

    def __init__(self, begin: Callable[[], _Span], block: Any, given: tuple[Any, Any, Any], *, whole: bool) -> None:  # noqa: ANN401
        self._begin = begin
        self._block = block
        self._given = given
        self._whole = whole
        self._span: _Span | None = None

    async def __aenter__(self) -> Any:  # noqa: ANN401 - what the block gives
        self._span = self._begin()
        try:
            value = await self._block.__aenter__()
        except BaseException as error:
            self._end(error)
            raise
        if not self._whole:
            self._end(None)
        return value

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:  # noqa: ANN401 - whether the block has dealt with the error
        try:
            done = await self._block.__aexit__(kind, error, traceback)
        except BaseException as raised:
            self._end(raised)
            raise
        self._end(None if done else error)
        return done

    def _end(self, error: BaseException | None) -> None:
        if self._span is not None:
            self._span.end(*self._given, error)
            self._span = None


class _Span:
    """A span that has begun, below the caller's; what is called until its end stands below it."""

    def __init__(self, tracing: Tracing, name: str) -> None:
        self._tracing = tracing
        self._span = tracing.tracer.start_span(name)
        self._token = tracing.context.attach(tracing.trace.set_span_in_context(self._span))
        self._measure: CallMeasure | None = CallMeasure() if self._span.is_recording() else None
        self._outer: Token[CallMeasure | None] = current_call.set(self._measure)

    def end(
        self, ids: dict[str, int], args: tuple[Any, ...], kw: dict[str, Any], error: BaseException | None = None
    ) -> None:
        """End it with what the call met."""
        with suppress(ValueError):  # a block that another task leaves
            current_call.reset(self._outer)
        self._tracing.context.detach(self._token)
        if self._measure is not None:
            self._span.set_attributes(_attributes(self._measure, ids, args, kw))
            if error is not None:
                self._span.set_attribute("error.type", type(error).__name__)
                if not isinstance(error, _EXPECTED):
                    self._span.set_status(self._tracing.trace.StatusCode.ERROR)
        self._span.end()


def _ids(function: Callable[..., Any]) -> dict[str, int]:
    """Return where a function takes ids: the places of its parameters, by their names."""
    names = list(inspect.signature(function).parameters)
    return {name: place for place, name in enumerate(names) if name.endswith("_id")}


def _attributes(
    measure: CallMeasure, ids: dict[str, int], args: tuple[Any, ...], kw: dict[str, Any]
) -> dict[str, int | float | str]:
    found: dict[str, int | float | str] = {"db.system.name": "postgresql"}
    for name, field in _NUMBERS.items():
        if value := getattr(measure, field):
            found[name] = value
    given = {"world_id": measure.world_id, "story_id": measure.story_id}
    for name, place in ids.items():
        given[name] = kw.get(name, args[place] if place < len(args) else None)
    for name, value in given.items():
        if isinstance(getattr(value, "int", None), int):  # a UUID of either package; any other argument is no id
            found[f"livingworld.{name.removesuffix('_id')}.id"] = str(value)
    return found
