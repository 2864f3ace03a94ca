"""Following a stream: what makes writers log its events, and what reads them.

A follow ends by itself when nobody renews it. A writer judges by the moment its transaction began; a renewal counts as
unbroken only while the follow has a good while to run, so that no writer can have found it over in between. A follow
that was over begins anew: its counter jumps, and whoever asks for what came before is told that events were missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Row, Uuid, and_, any_, case, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from livingworld.live.kinds import LiveKind
from livingworld.live.log import live_events, live_streams
from livingworld.live.records import LiveEvent, StoredEvents
from livingworld.postgres.transactions.transaction import Transaction

#: A follow lasts so long after its last renewal.
LENGTH: Final = timedelta(minutes=10)
#: So long before its end a follow counts as over; longer than any renewal takes.
_MARGIN: Final = timedelta(minutes=1)
#: So many events of a stream are kept at least; older ones are removed when it is renewed.
KEPT: Final = 10_000
#: Who waits for the writers of the world keeps new ones waiting; so it waits briefly, and is tried again.
_WORLD_WAIT: Final = timedelta(milliseconds=200)
_KINDS: Final = {kind.value: kind for kind in LiveKind}
_SWEPT_AT_ONCE: Final = 20

_UNBROKEN: Final = live_streams.c.followed_until > func.now() + _MARGIN
_LEFT: Final = and_(live_streams.c.followed_until < func.now(), live_streams.c.kept_after < live_streams.c.last_number)
_UNTIL: Final = func.greatest(live_streams.c.followed_until, func.now() + LENGTH)


async def renew(tx: Transaction, world_id: UUID, stream_id: UUID) -> int | None:
    """Lengthen a follow by one statement and return the last number, or None when it has to begin anew."""
    statement = (
        update(live_streams)
        .where(*_one(live_streams, world_id, stream_id), _UNBROKEN)
        .values(followed_until=_UNTIL)
        .returning(live_streams.c.last_number)
    )
    number: int | None = await tx.scalar(statement)
    return number


async def begin(tx: Transaction, world_id: UUID, stream_id: UUID) -> int:
    """Begin a follow, or lengthen one, and return the last number; what it tells of must be locked against writers."""
    columns = live_streams.c
    new = insert(live_streams).values(
        world_id=world_id, stream_id=stream_id, followed_until=func.now() + literal(LENGTH)
    )
    anew = {
        "last_number": case((_UNBROKEN, columns.last_number), else_=columns.last_number + 1),
        "kept_after": case((_UNBROKEN, columns.kept_after), else_=columns.last_number + 1),
        "followed_until": _UNTIL,
    }
    statement = new.on_conflict_do_update(index_elements=["world_id", "stream_id"], set_=anew)
    number: int = await tx.scalar(statement.returning(columns.last_number))
    return number


async def lock_world_writers(tx: Transaction, world_id: UUID) -> None:
    """Wait for those who have published to the world and not committed yet, and keep others from it till the end."""
    key = func.hashtextextended(f"livingworld live {world_id}", 0)
    async with tx.lock_timeout(_WORLD_WAIT):
        await tx.execute(select(func.pg_advisory_xact_lock(key)))


async def read_events(tx: Transaction, world_id: UUID, stream_id: UUID, after: int, limit: int) -> StoredEvents | None:
    """Return the events after a number, at most `limit`, oldest first; None when the stream is gone. One statement."""
    events, columns = live_events.c, live_streams.c
    page = (
        select(events.event_number, events.kind, events.details, events.created_at)
        .where(
            *_one(live_events, world_id, stream_id),
            events.event_number > func.greatest(after, columns.kept_after),
        )
        .order_by(events.event_number)
        .limit(limit)
        .correlate(live_streams)
        .lateral("page")
    )
    statement = (
        select(columns.last_number, columns.kept_after, page)
        .select_from(live_streams.outerjoin(page, literal(True)))  # noqa: FBT003
        .where(*_one(live_streams, world_id, stream_id))
        .order_by(page.c.event_number)
    )
    rows = (await tx.execute(statement)).all()
    if not rows:
        return None
    found = tuple(_event(stream_id, row) for row in rows if row.event_number is not None)
    return StoredEvents(events=found, last_number=rows[0].last_number, kept_after=rows[0].kept_after)


async def last_numbers(tx: Transaction, world_id: UUID, stream_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the last number of each stream that is there, in one statement."""
    columns = live_streams.c
    statement = select(columns.stream_id, columns.last_number).where(
        columns.world_id == world_id, columns.stream_id == any_(literal(list(stream_ids), ARRAY(Uuid())))
    )
    return {UUID(int=row.stream_id.int): row.last_number for row in await tx.execute(statement)}


async def forget_old(tx: Transaction, world_id: UUID, stream_id: UUID, keep: int) -> None:
    """Say that only the last `keep` events of a stream can be had; one statement, before they are removed."""
    columns = live_streams.c
    kept_after = columns.last_number - keep
    statement = update(live_streams).where(*_one(live_streams, world_id, stream_id), columns.kept_after < kept_after)
    await tx.execute(statement.values(kept_after=kept_after))


async def remove_forgotten(tx: Transaction, world_id: UUID, stream_id: UUID, limit: int) -> int:
    """Remove some of the events that can not be had any more and return how many; locks no stream. One statement."""
    own, number = _one(live_events, world_id, stream_id), live_events.c.event_number
    kept_after = select(live_streams.c.kept_after).where(*_one(live_streams, world_id, stream_id)).scalar_subquery()
    oldest = select(number).where(*own, number <= kept_after).order_by(number).limit(limit)
    return (await tx.execute(delete(live_events).where(*own, number.in_(oldest)))).rowcount


async def find_left(tx: Transaction, world_id: UUID) -> list[UUID]:
    """Return streams that nobody follows any more and that still have events, at most a few. One statement."""
    statement = select(live_streams.c.stream_id).where(live_streams.c.world_id == world_id, _LEFT)
    return [UUID(int=row.stream_id.int) for row in await tx.execute(statement.limit(_SWEPT_AT_ONCE))]


async def remove_left(world_id: UUID, stream_id: UUID, tx: Transaction) -> None:
    """Remove the events of a stream unless somebody follows it again: whoever does is told that they were missed."""
    own = _one(live_streams, world_id, stream_id)
    forgotten = update(live_streams).where(*own, _LEFT).values(kept_after=live_streams.c.last_number)
    number = await tx.scalar(forgotten.returning(live_streams.c.last_number))
    if number is not None:
        events = (*_one(live_events, world_id, stream_id), live_events.c.event_number <= number)
        await tx.execute(delete(live_events).where(*events))


def _one(table: Any, world_id: UUID, stream_id: UUID) -> tuple[Any, ...]:  # noqa: ANN401 - Table's columns are untyped
    return (table.c.world_id == world_id, table.c.stream_id == stream_id)


def _event(stream_id: UUID, row: Row[Any]) -> LiveEvent:
    return LiveEvent(
        stream_id=stream_id,
        number=row.event_number,
        kind=_KINDS.get(row.kind, row.kind),
        details=MappingProxyType(row.details),
        at=row.created_at,
    )
