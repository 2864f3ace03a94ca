"""An event, and how it is logged.

An application that has configured structlog gets the events there; any other gets them through the standard library's
logging under the name `livingworld`, which prints only warnings and errors by default.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from livingworld.inputs import one_line

_PACKAGE: Final = Path(__file__).parent.parent
_standard_logger = logging.getLogger("livingworld")
_standard_logger.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of log entry: its text, its level, and the only fields it may carry."""

    name: str
    level: int
    fields: frozenset[str]
    meaning: str


def declare(level: int, name: str, fields: str, meaning: str) -> Event:
    """Return an event whose fields are given as words."""
    return Event(name, level, frozenset(fields.split()), meaning)


def emit(event: Event, **fields: object) -> None:
    """Log one event; a field that the event does not declare is a KeyError, so no other value reaches the logs."""
    if not fields.keys() <= event.fields:
        raise KeyError(*fields.keys() - event.fields)
    structlog = sys.modules.get("structlog")  # who has configured it has imported it; it takes long to import
    if structlog is not None and structlog.is_configured():
        structlog.get_logger("livingworld").log(event.level, event.name, **_readable(fields))
    elif _standard_logger.isEnabledFor(event.level):
        text = " ".join(f"{name}={value}" for name, value in _readable(fields).items())
        _standard_logger.log(event.level, "%s %s", event.name, text)


def failure_fields(error: BaseException) -> dict[str, object]:
    """Return the error's class and its frames inside livingworld.

    The message, the source lines and the frames outside are left out: they may quote a story.
    """
    return {
        "error": type(error).__name__,
        "sqlstate": getattr(error, "sqlstate", None),
        "constraint": getattr(error, "constraint", None),
        "frames": " > ".join(_places(error.__traceback__)),
    }


def _places(trace: TracebackType | None) -> Iterator[str]:
    """Yield file, line and function of each frame of this package, from the call inwards."""
    for frame, line in traceback.walk_tb(trace):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            yield f"{path.relative_to(_PACKAGE).as_posix()}:{line} in {frame.f_code.co_name}"


def _readable(fields: dict[str, object]) -> dict[str, Any]:
    """Return the fields as a log writes them; no value of them is more than one line."""
    return {
        name: value if isinstance(value, int | float | None) else one_line(str(value)) for name, value in fields.items()
    }
