"""What the generated classes have in common: each stands for an object in the loop, and gives out others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from livingworld.errors import Closed
from livingworld.postgres.keyset import Page
from livingworld.sync.portal import Portal, caller

T = TypeVar("T")


class Mirror:
    """An object whose calls block, for one of the same name whose calls are awaited."""

    __slots__ = ("_original", "_portal")
    #: The class that stands for each class of the asynchronous API.
    _kinds: ClassVar[dict[type[Any], type[Mirror]]] = {}
    #: The class that it stands for.
    original: ClassVar[type[Any]]

    @staticmethod
    def _kind_of(value: object) -> type[Mirror] | None:
        return Mirror._kinds.get(type(value))

    def __init__(self, portal: Portal, original: Any) -> None:  # noqa: ANN401 - the class that it stands for
        self._portal = portal
        self._original = original

    def __init_subclass__(cls, *, original: type[Any] | None = None) -> None:
        if original is not None:
            cls.original = original
            Mirror._kinds[original] = cls

    def _get(self, name: str) -> Any:  # noqa: ANN401 - typed by the generated property
        return outside(self._portal, getattr(self._original, name))

    def _set(self, name: str, value: object) -> None:
        setattr(self._original, name, value)

    def _call(self, name: str, /, *args: Any, **kw: Any) -> Any:  # noqa: ANN401 - typed by the generated method
        function = getattr(self._original, name)
        kept = {key: inside(value) for key, value in kw.items()}
        return outside(self._portal, self._portal.call(function, *map(inside, args), **kept))

    def _enter(self, name: str, /, *args: Any, **kw: Any) -> Any:  # noqa: ANN401
        kept = {key: inside(value) for key, value in kw.items()}
        return Block(self._portal, getattr(self._original, name), tuple(map(inside, args)), kept)

    def _iterate(self, name: str, /, *args: Any, **kw: Any) -> Any:  # noqa: ANN401
        function = getattr(self._original, name)
        return Items(self._portal, self._portal.call(lambda: function(*args, **kw)))

    def _next(self) -> Any:  # noqa: ANN401
        try:
            return outside(self._portal, self._portal.call(self._original.__anext__))
        except StopAsyncIteration:
            raise StopIteration from None

    def _function(self, given: Any) -> Any:  # noqa: ANN401 - a function, a mapping of them, or what is refused
        """Return a function of the application as the asynchronous API calls it, which runs it in a thread."""
        if isinstance(given, Mapping):
            return {name: self._function(each) for name, each in given.items()}
        if not callable(given):
            return given
        portal = self._portal

        async def called(*args: Any) -> Any:  # noqa: ANN401
            shown = [outside(portal, each) for each in args]
            return inside(await portal.in_thread(lambda: given(*shown)))

        return called

    def _work(self, given: Any) -> Any:  # noqa: ANN401
        """Return work of the application as an awaitable, which runs it in a thread."""
        return _Started(self._portal, given) if callable(given) else given


class _Started:
    """Work that begins when it is awaited, in the loop."""

    def __init__(self, portal: Portal, function: Callable[[], Any]) -> None:
        self._portal = portal
        self._function = function

    def __await__(self) -> Any:  # noqa: ANN401
        return self._portal.in_thread(self._function).__await__()


class Items(Iterator[T]):
    """Iterates over what an asynchronous iterator gives; `close` ends it."""

    def __init__(self, portal: Portal, items: Any) -> None:  # noqa: ANN401 - an asynchronous iterator
        self._portal = portal
        self._items = items

    def __next__(self) -> T:
        """Wait for the next item."""
        try:
            item: T = outside(self._portal, self._portal.call(self._items.__anext__))
        except StopAsyncIteration:
            raise StopIteration from None
        return item

    def close(self) -> None:
        """End the iteration, and give back what it holds."""
        self._portal.call(self._items.aclose)


class Event:
    """Something that happens once in the loop, such as the loss of a lease."""

    def __init__(self, portal: Portal, event: asyncio.Event) -> None:
        self._portal = portal
        self._event = event

    def is_set(self) -> bool:
        """Return whether it has happened."""
        return self._event.is_set()

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until it has happened, and return whether it has after the timeout."""
        happened: bool = self._portal.call(self._wait, None if timeout is None else timeout.total_seconds())
        return happened

    async def _wait(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._event.wait()
        except TimeoutError:
            return False


class Block(AbstractContextManager[T]):
    """A block: entered and left by one task of the loop, so that its cancellation and its deadline are its own."""

    def __init__(self, portal: Portal, function: Callable[..., Any], args: tuple[Any, ...], kw: dict[str, Any]) -> None:
        self._portal = portal
        self._open: Callable[[], Any] = lambda: function(*args, **kw)
        self._entered: Future[Any] = Future()
        self._left: Future[Any] = Future()
        self._context: Context | None = None
        self._leave: asyncio.Future[BaseException | None] | None = None

    def __enter__(self) -> T:
        """Enter the block, and return what it gives."""
        self._left, task = self._portal.start(self._hold, caller.context())
        self._left.add_done_callback(self._refuse)
        value: T = outside(self._portal, self._portal.wait(self._entered, task))
        if self._context is not None:
            caller.contexts.append(self._context)
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Leave the block with its error, if it has one; an error of leaving takes its place."""
        self.outlive_thread()
        try:
            self._portal.in_loop(lambda: self._end(error))
            self._left.result()
        except (asyncio.CancelledError, Closed):
            if error is None and self._portal.is_open:
                raise
        except BaseException as raised:
            if raised is not error:
                raise
        else:
            return isinstance(error, Exception)  # the block itself has dealt with it
        if error is not None:
            error.__traceback__ = traceback
        return False

    def outlive_thread(self) -> None:
        """Let the block be left by any thread: the calls of the thread that entered it are outside of it."""
        if self._context in caller.contexts:
            caller.contexts.remove(self._context)

    async def _hold(self) -> None:
        async with self._open() as value:
            self._context = copy_context()
            self._leave = asyncio.get_running_loop().create_future()
            self._entered.set_result(value)
            error = await self._leave
            if isinstance(error, Exception):
                raise error
            if error is not None:  # an interrupt: the loop itself must not get it
                raise asyncio.CancelledError

    def _end(self, error: BaseException | None) -> None:
        if self._leave is not None and not self._leave.done():
            self._leave.set_result(error)

    def _refuse(self, left: Future[Any]) -> None:
        """Hand on why the block could not be entered."""
        if not self._entered.done():
            self._entered.set_exception(left.exception() or RuntimeError("the block was not entered"))


def outside(portal: Portal, value: Any) -> Any:  # noqa: ANN401 - whatever a call returns
    """Return what the loop gives out, with blocking calls where it has calls."""
    if isinstance(value, tuple):
        items = [outside(portal, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, Page):
        return replace(value, items=outside(portal, value.items))
    if isinstance(value, asyncio.Event):
        return Event(portal, value)
    mirror = Mirror._kind_of(value)  # noqa: SLF001 - its own
    return value if mirror is None else mirror(portal, value)


def inside(value: Any) -> Any:  # noqa: ANN401 - whatever a call is given
    """Return what a caller gives, as the loop knows it."""
    return value._original if isinstance(value, Mirror) else value  # noqa: SLF001 - its own
