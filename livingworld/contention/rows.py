"""From rows of sessions and turns to records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from livingworld.contention.locked_rows import OUR_SCHEMA, Key, Place, kind_of
from livingworld.contention.records import HeldTurn, LockSession, WaitedLock, waited_key
from livingworld.postgres.announcement import announced
from livingworld.postgres.statement_names import statement_name

#: The type of lock that a statement of a name waits for.
_NAME: Final = "advisory"


def waited_place(row: Any) -> Place | None:  # noqa: ANN401 - a row
    """Return the place of the row of ours that a session waits for, or None."""
    if row.place is None or row.schema_name != OUR_SCHEMA:
        return None
    return row.table_name, row.place


def make_session(row: Any, keys: Mapping[Place, Key]) -> LockSession:  # noqa: ANN401 - a row
    """Return the record that a row of sessions.sql makes, with the keys of the rows that are waited for."""
    said = announced(row.application_name or "")
    return LockSession(
        pid=row.pid,
        role=row.role,
        application_name=row.application_name or "",
        client=row.client,
        state=None if row.hidden else row.state,
        statement=None if row.hidden else statement_name(row.query or ""),
        world_id=None if said is None else said.world_id,
        open_since=row.xact_start,
        open_for=_age(row.asked_at, row.xact_start),
        waits_for=None if row.locktype is None else _waited_lock(row, keys),
        waits_since=row.waitstart,
        waited=None if row.locktype is None else _age(row.asked_at, row.waitstart) or timedelta(0),
        blocked_by=tuple(dict.fromkeys(row.blocked_by or ())),
        tables=tuple(row.tables),
    )


def _waited_lock(row: Any, keys: Mapping[Place, Key]) -> WaitedLock:  # noqa: ANN401 - a row
    place = waited_place(row)
    key = {} if place is None else keys.get(place, {})
    said = announced(row.application_name or "")
    kind = said.kind if said is not None and row.locktype == _NAME else kind_of(None if place is None else place[0])
    number = {} if row.advisory_key is None else {"advisory_key": row.advisory_key}
    return WaitedLock(
        kind=None if kind is None else kind.name.lower(),
        type=row.locktype,
        mode=row.mode,
        table=row.table_name,
        world_id=key.get("world_id") or (None if said is None else said.world_id),
        story_id=key.get("story_id"),
        key=waited_key({**{name: _plain(value) for name, value in key.items()}, **number}.items()),
    )


def make_turn(row: Any) -> HeldTurn:  # noqa: ANN401 - a row
    """Return the record that a row of held_turns.sql makes."""
    return HeldTurn(
        world_id=UUID(int=row.world_id.int),
        story_id=UUID(int=row.story_id.int),
        branch=row.branch_number,
        request_key=row.request_key,
        player=row.player,
        held_for=_age(row.asked_at, row.taken_at) or timedelta(0),
        until=row.expires_at,
        line=tuple(row.line),
    )


def _age(now: datetime, since: datetime | None) -> timedelta | None:
    return None if since is None else max(now - since, timedelta(0))


def _plain(value: object) -> object:
    return value if isinstance(value, int | str) else str(value)
