"""A model as it is loaded in one process: counted while it is used, and closed exactly once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from livingworld.errors import ModelClosed
from livingworld.models.ai_models.records import AIModel
from livingworld.observability import events

#: Closes what a loader brought.
Close = Callable[[Any], Awaitable[None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How models of one host are closed."""

    world_id: UUID
    #: The application's way; None: the handle's own `aclose` or `close`, where it has one.
    close: Close | None
    #: How long the last users may take, and how long the closing.
    within: timedelta
    #: Starts what has to come to its end.
    start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class LoadedModel:
    """A handle that the application's loader brought, and how many use it; nothing here waits."""

    def __init__(self, model: AIModel, handle: Any, closing: Closing) -> None:  # noqa: ANN401 - the application's
        self.model = model
        self.handle = handle
        self._closing = closing
        self._uses = 0
        self._timer: asyncio.TimerHandle | None = None
        #: Set when another model has taken its place: uses of this one should come to an end.
        self.retired = asyncio.Event()
        self._closing_task: asyncio.Task[None] | None = None
        #: Set when it was closed.
        self.ended = asyncio.Event()

    @property
    def uses(self) -> int:
        """How many blocks use it now."""
        return self._uses

    @property
    def closed(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing_task is not None

    def acquire(self) -> None:
        """Count one use more."""
        self._uses += 1

    def release(self) -> None:
        """Count one use less; the last one of a retired model closes it."""
        self._uses -= 1
        if self.retired.is_set() and not self._uses:
            self._close()

    def retire(self) -> None:
        """Let it be closed after its last use, and when the time is over in any case."""
        if self.retired.is_set():
            return
        self.retired.set()
        if self._uses:
            self._timer = asyncio.get_running_loop().call_later(self._closing.within.total_seconds(), self._close)
        else:
            self._close()

    def _close(self) -> None:
        if self._closing_task is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        fields = {"world_id": self._closing.world_id, "model_id": self.model.id}
        if self._uses:
            events.emit(events.MODEL_CLOSED_IN_USE, **fields, uses=self._uses)
        self._closing_task = self._closing.start(self._carry_out(fields))

    async def _carry_out(self, fields: Mapping[str, object]) -> None:
        try:
            async with asyncio.timeout(self._closing.within.total_seconds()):
                await close_handle(self.handle, self._closing.close)
        except Exception as error:  # noqa: BLE001 - whatever the application's code raises, no caller waits for it
            events.emit(events.MODEL_CLOSE_FAILED, **fields, error=type(error).__name__)
        else:
            events.emit(events.MODEL_CLOSED, **fields)
        finally:
            self.ended.set()


class PinnedModel:
    """A model in use, from its pin to the end of the block."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        #: Which model answers.
        self.model = loaded.model
        #: Set when another model has taken its place: this one stays open until the host's time limit.
        self.closing = loaded.retired

    @property
    def handle(self) -> Any:  # noqa: ANN401 - the application's
        """What the loader brought; raises ModelClosed when the time limit was over and it had to close."""
        if self._loaded.closed:
            raise ModelClosed(model_id=self.model.id, version=self.model.version)
        return self._loaded.handle


async def close_handle(handle: Any, close: Close | None) -> None:  # noqa: ANN401 - the application's
    """Close what a loader brought; does nothing for a handle that knows no way and was given none."""
    if close is None:
        own = getattr(handle, "aclose", None) or getattr(handle, "close", None)
        result = own() if callable(own) else None
    else:
        result = close(handle)
    if inspect.isawaitable(result):
        await result
