"""Who is where: a player's row is there from "joined" to "left", under its lock connections come, go and expire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, delete, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from livingworld.errors import InvalidInput, LimitReached, PresenceNotFound
from livingworld.live.kinds import LiveKind
from livingworld.live.log import UnpublishedEvent, publish_unlocked_at_commit
from livingworld.live.records import Presence, PresentPlayer
from livingworld.live.streams import Stream
from livingworld.live.tables import presences, present_players
from livingworld.postgres.transactions.transaction import Transaction

#: Most players in one story, one session or the world, and most connections of one player there.
MAX_PRESENT: Final = 10_000
MAX_CONNECTIONS: Final = 100
#: Read by each statement after the lock of the player's row.
_NOW: Final = func.statement_timestamp()
_LIVES: Final = presences.c.expires_at > _NOW


async def join(tx: Transaction, stream: Stream, presence_id: UUID, player: str, ttl: timedelta) -> Presence:
    """Add a connection, and publish that the player joined when it is the first; again it only lengthens it."""
    await stream.find(tx, stream.id)
    key = {"world_id": tx.world_id, "stream_id": stream.id, "player": player}
    there = upsert(present_players).values(**key)
    # The update locks the row that is there; it changes nothing.
    locked = there.on_conflict_do_update(index_elements=list(key), set_={"player": there.excluded.player})
    await tx.execute(locked)
    known = await _renew_or_none(tx, presence_id, presences.c.player == player, presences.c.stream_id == stream.id)
    if known is not None:
        return known
    await _refuse_a_crowd(tx, stream.id, player)
    await _come(tx, stream.id, player)
    new = upsert(presences).values(**key, presence_id=presence_id, ttl=ttl, expires_at=_NOW + ttl)
    row = (await tx.execute(new.on_conflict_do_nothing().returning(presences))).one_or_none()
    if row is None:
        raise InvalidInput("presence", "is a connection of another player, or of this one elsewhere")
    return _make_presence(row)


async def _refuse_a_crowd(tx: Transaction, stream_id: UUID, player: str) -> None:
    """Raise LimitReached for one connection too many of a locked player, or for one player too many.

    Of players that join at the same moment some may come above the limit.
    """
    there = select(present_players.c.player).where(
        present_players.c.world_id == tx.world_id, present_players.c.stream_id == stream_id
    )
    players = select(func.count()).select_from(there.limit(MAX_PRESENT + 1).subquery()).scalar_subquery()
    mine = select(func.count()).select_from(presences).where(*_of_player(presences, tx, stream_id, player), _LIVES)
    counts = select(players.label("players"), mine.scalar_subquery().label("connections"))
    row = (await tx.execute(counts)).one()
    if row.players > MAX_PRESENT:
        raise LimitReached(what="MAX_PRESENT", limit=MAX_PRESENT)
    if row.connections >= MAX_CONNECTIONS:
        raise LimitReached(what="MAX_CONNECTIONS", limit=MAX_CONNECTIONS)


async def _come(tx: Transaction, stream_id: UUID, player: str) -> None:
    """Publish that a player is there who was not, after "left" for one whose connections have all expired."""
    mine = _of_player(presences, tx, stream_id, player)
    expired = (await tx.execute(delete(presences).where(*mine, ~_LIVES))).rowcount
    if await tx.scalar(select(exists().where(*mine))):
        return
    if expired:
        again = update(present_players).where(*_of_player(present_players, tx, stream_id, player))
        await tx.execute(again.values(joined_at=_NOW))
        _publish(tx, stream_id, player, LiveKind.PLAYER_LEFT)
    _publish(tx, stream_id, player, LiveKind.PLAYER_JOINED)


async def renew(tx: Transaction, presence_id: UUID) -> Presence:
    """Lengthen a connection that has not expired; raises PresenceNotFound. One statement."""
    presence = await _renew_or_none(tx, presence_id)
    if presence is None:
        raise PresenceNotFound(presence_id=presence_id)
    return presence


async def _renew_or_none(tx: Transaction, presence_id: UUID, *of: ColumnElement[bool]) -> Presence | None:
    mine = (presences.c.world_id == tx.world_id, presences.c.presence_id == presence_id)
    # A connection keeps its ttl. By a sub-select: Citus adds no interval of a column to a time in an UPDATE.
    there = presences.alias("there")
    own = (there.c.world_id == tx.world_id, there.c.presence_id == presence_id)
    until = select(_NOW + there.c.ttl).where(*own).scalar_subquery()
    statement = update(presences).where(*mine, *of, _LIVES).values(expires_at=until)
    row = (await tx.execute(statement.returning(presences))).one_or_none()
    return None if row is None else _make_presence(row)


async def leave(tx: Transaction, presence_id: UUID) -> bool:
    """Remove a connection, and publish that the player left when it was the last; False when it is there no more."""
    mine = (presences.c.world_id == tx.world_id, presences.c.presence_id == presence_id)
    row = (await tx.execute(select(presences.c.stream_id, presences.c.player).where(*mine))).one_or_none()
    if row is None:
        return False
    players = await _lock(tx, [(row.stream_id, row.player)])
    gone = (await tx.execute(delete(presences).where(*mine))).rowcount
    await _end(tx, players)
    return bool(gone)


async def expire(tx: Transaction, limit: int) -> int:
    """Remove expired connections, publish which players left with them, and return how many connections that were.

    What another transaction has in hand is left to it.
    """
    own = presences.c.world_id == tx.world_id
    place = (presences.c.stream_id, presences.c.player)
    oldest = select(*place).where(own, ~_LIVES).order_by(presences.c.expires_at).limit(limit)
    found = sorted({(UUID(int=row.stream_id.int), row.player) for row in await tx.execute(oldest)})
    players = await _lock(tx, found, skip_locked=True) if found else []
    if not players:
        return 0
    expired = (await tx.execute(delete(presences).where(own, tuple_(*place).in_(players), ~_LIVES))).rowcount
    await _end(tx, players)
    return expired


async def _lock(
    tx: Transaction, players: Sequence[tuple[UUID, str]], *, skip_locked: bool = False
) -> list[tuple[UUID, str]]:
    columns = present_players.c
    place = (columns.stream_id, columns.player)
    wanted = select(*place).where(columns.world_id == tx.world_id, tuple_(*place).in_(players)).order_by(*place)
    rows = await tx.execute(wanted.with_for_update(key_share=True, skip_locked=skip_locked))
    return [(UUID(int=row.stream_id.int), row.player) for row in rows]


async def _end(tx: Transaction, players: Sequence[tuple[UUID, str]]) -> None:
    """Remove those of these locked players who have no connection left, and publish that they left."""
    columns = present_players.c
    lives = exists().where(
        presences.c.world_id == tx.world_id,
        presences.c.stream_id == columns.stream_id,
        presences.c.player == columns.player,
        _LIVES,
    )
    mine = (columns.world_id == tx.world_id, tuple_(columns.stream_id, columns.player).in_(players))
    gone = delete(present_players).where(*mine, ~lives).returning(columns.stream_id, columns.player)
    for row in sorted(await tx.execute(gone)):
        _publish(tx, UUID(int=row.stream_id.int), row.player, LiveKind.PLAYER_LEFT)


async def read_present(tx: Transaction, stream_id: UUID, limit: int) -> tuple[PresentPlayer, ...]:
    """Return the players with a connection that has not expired, in the order of their names. One statement."""
    columns, until = present_players.c, func.max(presences.c.expires_at).label("expires_at")
    same = [presences.c[name] == columns[name] for name in ("world_id", "stream_id", "player")]
    statement = (
        select(columns.player, columns.joined_at, until)
        .join(presences, same[0] & same[1] & same[2])
        .where(columns.world_id == tx.world_id, columns.stream_id == stream_id, presences.c.world_id == tx.world_id)
        .where(_LIVES)
        .group_by(columns.player, columns.joined_at)
        .order_by(columns.player)
        .limit(limit)
    )
    rows = await tx.execute(statement)
    return tuple(PresentPlayer(player=row.player, joined_at=row.joined_at, expires_at=row.expires_at) for row in rows)


def _publish(tx: Transaction, stream_id: UUID, player: str, kind: LiveKind) -> None:
    publish_unlocked_at_commit(tx, UnpublishedEvent(stream_id, kind, {"player": player}, unlocked=True))


def _of_player(table: Table, tx: Transaction, stream_id: UUID, player: str) -> tuple[ColumnElement[bool], ...]:
    columns = table.c
    return (columns.world_id == tx.world_id, columns.stream_id == stream_id, columns.player == player)


def _make_presence(row: Row[Any]) -> Presence:
    return Presence(
        id=UUID(int=row.presence_id.int),
        stream_id=UUID(int=row.stream_id.int),
        player=row.player,
        expires_at=row.expires_at,
    )
