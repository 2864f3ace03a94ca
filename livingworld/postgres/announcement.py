"""What a transaction that may wait says of itself in `application_name`, where every session of the database sees it.

It is set by the statement that sets the time limits, so it costs no round trip, and it ends with the transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text

from livingworld.postgres.transactions.lock_order import LockKind

#: PostgreSQL cuts a name off after 63 bytes. What the application calls itself keeps the first 14 characters.
_ANNOUNCE: Final = (
    "set_config('application_name', concat_ws(' ',"
    " left(current_setting('application_name'), 14), CAST(:announcement AS text)), true)"
)
#: What `livingworld db distribute` has set; NULL on a plain server.
_IS_PASSED_ON: Final = "current_setting('citus.propagate_set_commands', true) = 'local'"
_FORM: Final = re.compile(r" (?P<world>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?: (?P<kind>[a-z]+))?$")
_KINDS: Final = {kind.name.lower(): kind for kind in LockKind}


@dataclass(frozen=True, slots=True)
class Announced:
    """The world of a transaction, and the kind of lock that it met."""

    world_id: UUID
    kind: LockKind | None


def announcement(world_id: UUID | None, met: tuple[object, ...] | None) -> dict[str, str]:
    """Return what a transaction says of itself, as a parameter of its first statement; without a world, nothing.

    Its world, and the kind of the lock that it met, if that is known.
    """
    if world_id is None:
        return {}
    kind = met[0] if met else None
    return {"announcement": f"{world_id} {kind.name.lower()}" if isinstance(kind, LockKind) else str(world_id)}


def begin_statement(settings: Iterable[str], announced: Mapping[str, str]) -> TextClause:
    """Return the statement that sets the settings of a transaction, and says what it announces.

    Its first column is true where Citus passes on what SET LOCAL sets, which it does not do with a set_config.
    """
    parts = [_IS_PASSED_ON]
    parts += [f"set_config('{name}', :{name}, true)" for name in settings] + [_ANNOUNCE] * len(announced)
    return text(f"SELECT {', '.join(parts)}")


def announced(application_name: str) -> Announced | None:
    """Return what a session says of its transaction, or None."""
    found = _FORM.search(application_name)
    if found is None:
        return None
    return Announced(UUID(found["world"]), _KINDS.get(found["kind"] or ""))
