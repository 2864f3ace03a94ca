"""What everything is doing at one moment: each task of asyncio, each thread, each session of the test's database."""

from __future__ import annotations

import asyncio
import gc
import linecache
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from livingworld.testing.staged_races import SESSIONS, connection_arguments, picture

_PATIENCE_SECONDS: Final = 5
_DEEPEST: Final = 20


def report(database_url: str | None, frame: FrameType | None) -> str:
    """Return the picture; `frame` is where the calling thread stood when it was interrupted."""
    parts = {"tasks": _tasks(), "threads": _threads(frame)}
    if database_url:
        parts["sessions of the database"] = _sessions(database_url)
    return "\n".join(f"{title}:\n{text}" for title, text in parts.items())


def _tasks() -> str:
    # Those of every loop, also of one that is not running now, as between two fixtures.
    alive = [each for each in gc.get_objects() if issubclass(type(each), asyncio.Task) and not each.done()]
    return "\n".join(f"  {task.get_name()}\n{_lines(_stack(task))}" for task in alive) or "  none"


def _stack(task: asyncio.Task[Any]) -> Iterator[str]:
    """Go from the outermost coroutine to what the innermost one waits for; Task.get_stack tells the outermost alone."""
    awaited: Any = task.get_coro()
    for _ in range(_DEEPEST):
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is None:
            break
        code = frame.f_code
        source = linecache.getline(code.co_filename, frame.f_lineno).strip()
        yield f'File "{code.co_filename}", line {frame.f_lineno}, in {code.co_qualname}: {source}'
        awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    yield f"waits for {getattr(task, '_fut_waiter', awaited)!r}"


def _first(thing: object, *names: str) -> Any:  # noqa: ANN401
    return next((getattr(thing, name) for name in names if hasattr(thing, name)), None)


def _threads(interrupted: FrameType | None) -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames() | {threading.get_ident(): interrupted}
    stacks = (
        (names.get(ident, "unknown"), traceback.format_stack(frame, _DEEPEST))
        for ident, frame in frames.items()
        if frame
    )
    return "\n".join(f"  {name}\n{''.join(stack).rstrip()}" for name, stack in stacks)


def _sessions(url: str) -> str:
    """Ask on a connection of its own, without asyncio: the loop is the one that hangs."""
    told = connection_arguments(url)
    arguments = {name: told[name] for name in ("host", "port", "user", "password")} | {"dbname": told["database"]}
    options = f"-c statement_timeout={_PATIENCE_SECONDS}s"
    try:
        with psycopg.connect(**arguments, connect_timeout=_PATIENCE_SECONDS, options=options) as connection:
            return picture(connection.cursor(row_factory=dict_row).execute(SESSIONS).fetchall())
    except psycopg.Error as error:
        return f"  cannot be asked: {error}"


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
