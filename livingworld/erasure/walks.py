"""Erasing what names a person in its JSON: each step looks at the next rows of a table, in the order of their key.

The application names the person as the member `player` of what it stores: the payload of an action, the metadata of a
sample, the details of an event. No index leads there, so all rows are looked at, a bounded number in each transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, select, update

from livingworld.coordination.actions.locking import action_topic, actions_topic, lock_lane
from livingworld.coordination.actions.tables import actions
from livingworld.erasure.records import Counts
from livingworld.live.tables import live_events, live_streams
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

#: Rows that a step looks at.
_PAGE: Final = 1_000
_FIRST: Final = UUID(int=0)
_SQL: Final = files(__package__).joinpath("sql")
_SAMPLES: Final = _SQL.joinpath("samples.sql").read_text()
_ACTIONS: Final = _SQL.joinpath("actions.sql").read_text()
_EVENTS: Final = _SQL.joinpath("events.sql").read_text()
_KEYS: Final = _SQL.joinpath("request_keys.sql").read_text()
_STOP: Final = "SELECT livingworld.stop_action_v1($1, $2, 'cancelled', clock_timestamp(), NULL, 0, NULL, NULL)"
_EMPTY: Final[ColumnElement[Any]] = literal_column("'{}'::jsonb")

#: Where a walk is in its table: the key of the last row that was looked at.
Place: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did."""

    counts: Counts
    #: None: the table is at its end.
    place: Place | None


#: Looks at the next rows after a place, for a person.
Walk: TypeAlias = Callable[[Transaction, Place, str], Awaitable[Step]]


async def erase_samples(tx: Transaction, place: Place, player: str) -> Step:
    """Remove the training samples of a person among the next ones."""
    row = (await tx.execute_text(_SAMPLES, (tx.world_id, *place, player, _PAGE))).one()
    return Step({"training_samples": row.removed}, None if row.last is None else (row.last,))


async def erase_actions(tx: Transaction, place: Place, player: str) -> Step:
    """Blank the actions of a person among the next ones; one that has not ended is cancelled first. Locks its lane."""
    row = (await tx.execute_text(_ACTIONS, (tx.world_id, *place, player, _PAGE))).one()
    own, columns = actions.c.world_id == tx.world_id, actions.c
    found = select(columns.action_id, columns.lane).where(own, columns.action_id.in_(row.unfinished))
    unfinished = sorted((each.lane, each.action_id) for each in (await tx.execute(found) if row.unfinished else ()))
    for lane, action_id in unfinished:
        await lock_lane(tx, lane)
        await tx.execute_text(_STOP, (tx.world_id, action_id))
        blank = {"payload": _EMPTY, "result": None, "errors": literal_column("'[]'::jsonb"), "cancel_reason": None}
        await tx.execute(update(actions).where(own, columns.action_id == action_id).values(**blank))
        tx.notify_after_commit(action_topic(action_id))
        tx.notify_after_commit(actions_topic(tx.world_id))  # the lane may have a next one
    return Step({"actions": row.blanked + len(unfinished)}, None if row.last is None else (row.last,))


async def erase_events(tx: Transaction, place: Place, player: str) -> Step:
    """Empty the details of the events of a person among the next ones; their numbers stay. Locks their streams."""
    row = (await tx.execute_text(_EVENTS, (tx.world_id, *place, player, _PAGE))).one_or_none()
    if row is None:
        return Step({}, None)
    return Step({"live_events": await _empty(tx, row.streams, row.numbers)}, (row.stream_id, row.event_number))


async def _empty(tx: Transaction, streams: Sequence[UUID], numbers: Sequence[int]) -> int:
    emptied = 0
    for stream_id in sorted({UUID(int=each.int) for each in streams}):
        tx.lock_order.hold(LockKind.STREAM, tx.world_id)
        # Events are removed by their place, under this lock.
        stream = (live_streams.c.world_id == tx.world_id, live_streams.c.stream_id == stream_id)
        await tx.execute(select(live_streams.c.stream_id).where(*stream).with_for_update(key_share=True))
        hers = [number for each, number in zip(streams, numbers, strict=True) if each.int == stream_id.int]
        own = (live_events.c.world_id == tx.world_id, live_events.c.stream_id == stream_id)
        changed = update(live_events).where(*own, live_events.c.event_number == func.any(hers)).values(details=_EMPTY)
        emptied += (await tx.execute(changed)).rowcount
    return emptied


async def erase_request_keys(tx: Transaction, place: Place, player: str) -> Step:
    """Remove the request keys of a person among the next ones; such a request, sent again, is carried out again."""
    values = (tx.world_id, *place, player, _whole_word(player), _PAGE)
    row = (await tx.execute_text(_KEYS, values)).one_or_none()
    return Step({}, None) if row is None else Step({"request_keys": row.removed}, (row.scope_id, row.request_key))


def _whole_word(name: str) -> str:
    """Return the pattern, as PostgreSQL reads it, of a name that is no part of a longer word."""
    quoted = "".join(f"\\{sign}" if sign.isascii() and not (sign.isalnum() or sign == "_") else sign for sign in name)
    return rf"(^|\W){quoted}(\W|$)"


#: Every walk, with the place before the first row.
WALKS: Final[tuple[tuple[Walk, Place], ...]] = (
    (erase_samples, (_FIRST,)),
    (erase_actions, (_FIRST,)),
    (erase_request_keys, (_FIRST, "")),
    (erase_events, (_FIRST, 0)),
)
