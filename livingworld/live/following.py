"""Following a stream: what makes writers log its events, and what reads them.

A follow ends by itself when it is not renewed. A writer judges by the moment its transaction began; a renewal counts as
unbroken only while the follow has a good while to run, so that no writer can have found it over in between. A follow
that was over begins again: its counter jumps, and a subscriber that asks for what came before gets Missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from livingworld.live.tables import live_events, live_streams
from livingworld.postgres.locks import ONE_ROW_OF_THE_WORLD
from livingworld.postgres.transactions.transaction import Transaction

#: A follow lasts so long after its last renewal.
LENGTH: Final = timedelta(minutes=10)
#: So long before its end a follow counts as over; longer than any renewal takes.
_MARGIN: Final = timedelta(minutes=1)
#: So many events of a stream are kept at least; older ones are removed when it is renewed.
KEPT: Final = 10_000
#: New publishers of a stream wait behind a follow that waits for earlier ones; so it waits briefly.
_PUBLISHERS_WAIT: Final = timedelta(milliseconds=200)
_SWEPT_AT_ONCE: Final = 20
_RENEW: Final = files(__package__).joinpath("sql/renew_follows.sql").read_text()

_REMOVE_OLD: Final = files(__package__).joinpath("sql/remove_old_events.sql").read_text()

_UNBROKEN: Final = live_streams.c.followed_until > func.now() + _MARGIN
_LEFT: Final = and_(live_streams.c.followed_until < func.now(), live_streams.c.kept_after < live_streams.c.last_number)
_UNTIL: Final = func.greatest(live_streams.c.followed_until, func.now() + LENGTH)


class Renewed(NamedTuple):
    """Where a stream stood when its follow was lengthened."""

    last_number: int
    kept_after: int


async def renew(tx: Transaction, stream_id: UUID) -> int | None:
    """Lengthen a follow by one statement and return the last number, or None when it is over; waits for its writer."""
    statement = (
        update(live_streams)
        .where(*_one(tx, live_streams, stream_id), _UNBROKEN)
        .values(followed_until=_UNTIL)
        .returning(live_streams.c.last_number)
    )
    number: int | None = await tx.scalar(statement)
    return number


async def renew_free(tx: Transaction, stream_ids: Sequence[UUID], length: timedelta = LENGTH) -> dict[UUID, Renewed]:
    """Lengthen the follows that are not over and that no writer holds; one statement that waits for nobody."""
    given = (tx.world_id, list(stream_ids), length, _MARGIN)
    rows = await tx.execute_text(_RENEW, given)
    return {UUID(int=row.stream_id.int): Renewed(row.last_number, row.kept_after) for row in rows}


async def begin(tx: Transaction, stream_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Begin or lengthen follows, and return the last numbers; what is followed must be locked against writers."""
    columns = live_streams.c
    until = func.now() + literal(LENGTH)
    own = {"world_id": tx.world_id, "followed_until": until}
    new = insert(live_streams).values([own | {"stream_id": stream_id} for stream_id in sorted(stream_ids)])
    # As _UNBROKEN and _UNTIL, by the row to insert: Citus takes no clock in a conflict.
    unbroken = new.excluded.followed_until - columns.followed_until < literal(LENGTH - _MARGIN)
    again = {
        "last_number": case((unbroken, columns.last_number), else_=columns.last_number + 1),
        "kept_after": case((unbroken, columns.kept_after), else_=columns.last_number + 1),
        "followed_until": func.greatest(columns.followed_until, new.excluded.followed_until),
    }
    statement = new.on_conflict_do_update(index_elements=["world_id", "stream_id"], set_=again)
    returned = await tx.execute(statement.returning(columns.stream_id, columns.last_number))
    return {UUID(int=row.stream_id.int): row.last_number for row in returned}


async def lock_publishers(tx: Transaction, stream_id: UUID) -> None:
    """Wait for the transactions that have published to a stream, and keep others from it until the end.

    The writers of a story or session hold its row too; those of the world, and the application's own events, do not.
    """
    async with tx.lock_timeout(_PUBLISHERS_WAIT):
        key = _publishers_key(literal(str(stream_id)))
        await tx.execute(select(func.pg_advisory_xact_lock(key)).select_from(_at_the_world(tx)))


async def lock_free_publishers(tx: Transaction, stream_ids: Sequence[UUID]) -> list[UUID]:
    """Keep publishers from those of these streams to which none is publishing, and return them; never waits."""
    ids = func.unnest(literal(sorted(stream_ids), ARRAY(Uuid()))).table_valued("stream_id").render_derived(name="given")
    free = func.pg_try_advisory_xact_lock(_publishers_key(cast(ids.c.stream_id, Text)))
    asked = select(ids.c.stream_id, free.label("free")).select_from(ids.join(_at_the_world(tx), true()))
    rows = (await tx.execute(asked)).all()
    return [UUID(int=row.stream_id.int) for row in rows if row.free]


def _at_the_world(tx: Transaction) -> FromClause:
    """Return what has a lock taken on the node that holds the world; see postgres/locks.py."""
    given = text(f"SELECT place.count FROM {ONE_ROW_OF_THE_WORLD}")  # noqa: S608 - our own words
    own = given.bindparams(bindparam("world_id", tx.world_id, Uuid())).columns(count=BigInteger())
    return own.subquery("world")


def _publishers_key(stream_id: ColumnElement[str]) -> ColumnElement[int]:
    """Return the key of the lock that publishers share; as publish_events_v1 makes it."""
    return func.hashtextextended(literal("livingworld live ").concat(stream_id), 0)


async def forget_old(tx: Transaction, stream_id: UUID, keep: int) -> None:
    """Mark all but the last `keep` events of a stream as forgotten; one statement, before they are removed."""
    columns = live_streams.c
    kept_after = columns.last_number - keep
    statement = update(live_streams).where(*_one(tx, live_streams, stream_id), columns.kept_after < kept_after)
    await tx.execute(statement.values(kept_after=kept_after))


async def remove_forgotten(tx: Transaction, stream_id: UUID, limit: int) -> int:
    """Remove at most `limit` of the forgotten events and return how many; locks no stream. One statement."""
    own, number = _one(tx, live_events, stream_id), live_events.c.event_number
    kept_after = select(live_streams.c.kept_after).where(*_one(tx, live_streams, stream_id)).scalar_subquery()
    oldest = select(number).where(*own, number <= kept_after).order_by(number).limit(limit)
    return (await tx.execute(delete(live_events).where(*own, number.in_(oldest)))).rowcount


async def find_left(tx: Transaction) -> list[UUID]:
    """Return streams that have events and no follower, at most a few. One statement."""
    statement = select(live_streams.c.stream_id).where(live_streams.c.world_id == tx.world_id, _LEFT)
    return [UUID(int=row.stream_id.int) for row in await tx.execute(statement.limit(_SWEPT_AT_ONCE))]


async def remove_old_events(tx: Transaction, age: timedelta, limit: int) -> int:
    """Remove at most `limit` events that were published so long ago or have no follower left, and return how many.

    One statement. A stream that a writer holds is left for the next time; a later follower gets Missed.
    """
    removed: int = (await tx.execute_text(_REMOVE_OLD, (tx.world_id, age, limit))).scalar_one()
    return removed


async def remove_left(tx: Transaction, stream_id: UUID) -> None:
    """Remove the events of a stream unless it is followed again; a later follower gets Missed for them."""
    own = _one(tx, live_streams, stream_id)
    forgotten = update(live_streams).where(*own, _LEFT).values(kept_after=live_streams.c.last_number)
    number = await tx.scalar(forgotten.returning(live_streams.c.last_number))
    if number is not None:
        events = (*_one(tx, live_events, stream_id), live_events.c.event_number <= number)
        await tx.execute(delete(live_events).where(*events))


def _one(tx: Transaction, table: Any, stream_id: UUID) -> tuple[Any, ...]:  # noqa: ANN401 - untyped columns
    return (table.c.world_id == tx.world_id, table.c.stream_id == stream_id)
