"""A span of OpenTelemetry for a call: its API only, and imported only where it is asked for.

A span has ids, numbers, the database's place and the class of an error, never a text: no message of an error, no
argument but an id. Names and attributes follow OpenTelemetry's conventions for clients of databases.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar, Token
from functools import lru_cache, wraps
from types import MappingProxyType, TracebackType
from typing import Any, Final

from livingworld.errors import Closed, Conflict, InvalidInput, MissingPackage, NotFound, Refused
from livingworld.observability.calls import CallMeasure, current_call

#: Answers that a caller has to expect: such a span has the error's class, and no status of a failure.
_EXPECTED: Final = (InvalidInput, NotFound, Conflict, Refused, Closed)
#: Calls that the conventions for generative AI have a name for.
MEMORY_OPERATIONS: Final = {
    "memories.add": "create_memory",
    "memories.recall": "search_memory",
    "memories.update": "update_memory",
    "memories.forget": "delete_memory",
}
#: The context of OpenTelemetry that was asked last in this task, and whether its trace is left out.
_asked: Final[ContextVar[tuple[object, bool]]] = ContextVar("livingworld trace", default=(None, False))
#: An attribute, the name of the parameter that it is the id of, and the parameter's place.
_Id = tuple[str, str, int]


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
        self._where = context.get_current

    def is_left_out(self) -> bool:
        """Return whether the caller's trace is not sampled: making a span that is not kept costs nearly as much."""
        where, (asked, is_left_out) = self._where(), _asked.get()
        if where is not asked:  # neither what it holds nor the flags of its span change, and a task keeps its own
            caller = self.trace.get_current_span(where).get_span_context()
            is_left_out = not caller.trace_flags & 1 and caller.is_valid  # 1: sampled
            _asked.set((where, is_left_out))
        return is_left_out

    def call(self, name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return a function that is awaited with a span for each call."""
        ids, known = _ids(function), about(name)

        async def followed(*args: Any, **kw: Any) -> Any:  # noqa: ANN401 - those of the function
            span = _Span(self, name, known)
            try:
                result = await function(*args, **kw)
            except BaseException as error:
                span.end(ids, args, kw, error)
                raise
            span.end(ids, args, kw)
            return result

        @wraps(function)
        def traced(*args: Any, **kw: Any) -> Awaitable[Any]:  # noqa: ANN401 - those of the function
            # No coroutine of its own: it would cost as much as the question does.
            return function(*args, **kw) if self.is_left_out() else followed(*args, **kw)

        return traced

    def block(self, name: str, function: Callable[..., Any], *, whole: bool) -> Callable[..., Any]:
        """Return a function that opens a block with a span: of the whole block, or until it is entered."""
        ids, known = _ids(function), about(name)

        @wraps(function)
        def traced(*args: Any, **kw: Any) -> Any:  # noqa: ANN401 - those of the function
            if self.is_left_out():
                return function(*args, **kw)
            return _Block(lambda: _Span(self, name, known), function(*args, **kw), (ids, args, kw), whole=whole)

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

    __slots__ = ("_measure", "_outer", "_span", "_token", "_tracing")

    def __init__(self, tracing: Tracing, name: str, known: dict[str, str]) -> None:
        self._tracing = tracing
        # Said each time: the SDK would look it up five times, a tenth of what it takes.
        context = tracing.context.get_current()
        self._span = tracing.tracer.start_span(
            name, context=context, kind=tracing.trace.SpanKind.CLIENT, attributes=known
        )
        self._token = tracing.context.attach(tracing.trace.set_span_in_context(self._span, context))
        self._measure: CallMeasure | None = CallMeasure() if self._span.is_recording() else None
        self._outer: Token[CallMeasure | None] = current_call.set(self._measure)

    def end(
        self, ids: list[_Id], args: tuple[Any, ...], kw: dict[str, Any], error: BaseException | None = None
    ) -> None:
        """End it with what the call met."""
        try:  # noqa: SIM105 - what suppress() costs is a tenth of what is ours
            current_call.reset(self._outer)
        except ValueError:  # a block that another task leaves
            pass
        self._tracing.context.detach(self._token)
        if self._measure is not None:
            found = _met(self._measure)
            _add_ids(found, self._measure, ids, args, kw)
            if error is not None:
                found["error.type"] = type(error).__name__
                if not isinstance(error, _EXPECTED):
                    self._span.set_status(self._tracing.trace.StatusCode.ERROR)
            self._span.set_attributes(found)
        self._span.end()


def about(name: str) -> dict[str, str]:
    """Return what is known of a call before it begins: a sampler may decide by it."""
    known = {"db.system.name": "postgresql", "db.operation.name": name}
    if operation := MEMORY_OPERATIONS.get(name):
        known["gen_ai.operation.name"] = operation
    return known


def _ids(function: Callable[..., Any]) -> list[_Id]:
    """Return where a function takes ids."""
    names = list(inspect.signature(function).parameters)
    return [
        (f"livingworld.{name.removesuffix('_id')}.id", name, place)
        for place, name in enumerate(names)
        if name.endswith("_id")
    ]


def _met(measure: CallMeasure) -> dict[str, int | float | str]:
    """Return what a call met; what it did not meet is left out."""
    found = dict(_place(measure.server))
    if measure.retries:
        found["livingworld.retries"] = measure.retries
    if measure.statements:
        found["livingworld.statements"] = measure.statements
        found["livingworld.server.duration"] = measure.server_seconds
    if measure.group_size:
        found["livingworld.group.size"] = measure.group_size
        found["livingworld.queue.duration"] = measure.queue_seconds
    if measure.lock_seconds:
        found["livingworld.lock.duration"] = measure.lock_seconds
    return found


@lru_cache(maxsize=64)
def _place(server: tuple[str, str, str]) -> Mapping[str, int | float | str]:
    """Return the attributes of the place of a database; the same for nearly every call of a process."""
    database, address, port = server
    found = {"db.namespace": database, "server.address": address, "server.port": port and int(port)}
    return MappingProxyType({name: value for name, value in found.items() if value})


def _add_ids(
    found: dict[str, int | float | str],
    measure: CallMeasure,
    ids: list[_Id],
    args: tuple[Any, ...],
    kw: dict[str, Any],
) -> None:
    """Add the ids that a call was given, as the API takes them: UUIDs; and the world and story that it found."""
    for attribute, name, place in ids:
        value = args[place] if place < len(args) else kw.get(name)
        if isinstance(getattr(value, "int", None), int):  # a UUID of either package
            found[attribute] = str(value)
    if measure.world_id is not None and "livingworld.world.id" not in found:
        found["livingworld.world.id"] = str(measure.world_id)
    if measure.story_id is not None and "livingworld.story.id" not in found:
        found["livingworld.story.id"] = str(measure.story_id)
