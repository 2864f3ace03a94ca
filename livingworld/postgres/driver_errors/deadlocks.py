"""A deadlock that PostgreSQL has ended, with the names of the statements that waited for each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from livingworld.errors import DeadlockDetected
from livingworld.postgres.driver_errors.failures import error_chain
from livingworld.postgres.statement_names import names_in, statement_name

#: The same in every language of the server, but for the words.
_PROCESS: Final = re.compile(r"^\D*(\d+).*?(\d+)\D*$", re.MULTILINE)


def deadlock_error(exception: BaseException, statement: str, seen: Mapping[int, str | None]) -> DeadlockDetected:
    """Return the error for the driver's exception of SQLSTATE 40P01, with the names of the statements that met.

    `seen` are statements by process: PostgreSQL tells a client only the processes of the others. Nothing of what it
    tells is text of a story.
    """
    own, *others = _pids(exception) or (0,)
    inside = [name for name in names_in(_said(exception, "context")) if name not in names_in(statement)]
    return DeadlockDetected(
        statement=" ".join([statement_name(statement) or "a statement", *inside]),
        others=tuple(seen.get(pid) or f"process {pid}" for pid in others if pid != own),
    )


def _pids(exception: BaseException) -> tuple[int, ...]:
    """Return the processes that waited for each other, the session's own first."""
    return tuple(dict.fromkeys(int(found[1]) for found in _PROCESS.finditer(_said(exception, "detail"))))


def _said(exception: BaseException, name: str) -> str:
    return next((said for link in error_chain(exception) if isinstance(said := getattr(link, name, None), str)), "")
