"""The log of small events of stories, sessions and worlds, written by the transaction that makes them true.

Only what is followed is logged. The numbers of a stream are made under the lock of its row, by the last statement
before the commit: their order is the order of commits, and a transaction that is rolled back leaves no gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete

from livingworld.live.kinds import LiveKind
from livingworld.live.tables import live_streams, present_players
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.transaction import Transaction

_PUBLISH: Final = "SELECT * FROM livingworld.publish_events_v1($1, $2, $3, $4, $5)"


@dataclass(frozen=True, slots=True)
class UnpublishedEvent:
    """An event of a transaction that is still open."""

    stream_id: UUID
    kind: LiveKind | str
    details: Mapping[str, Any]
    #: Whether its transaction holds no lock of the story or session that keeps a beginning follow out.
    unlocked: bool = False


def publish_at_commit(tx: Transaction, stream_id: UUID, kind: LiveKind, /, **details: object) -> None:
    """Publish an event to the followers of a story, a session or the world, as the last statement of the transaction.

    A single statement has no end of its own: there the statement itself publishes.
    """
    tx.store_at_commit(_publish, UnpublishedEvent(stream_id, kind, details))


def publish_unlocked_at_commit(tx: Transaction, event: UnpublishedEvent) -> None:
    """Publish an event of the application as `publish_at_commit` does, in order with the others."""
    tx.store_at_commit(_publish, event)


async def publish_events(tx: Transaction, events: list[UnpublishedEvent]) -> bool:
    """Store events with their numbers by one statement, and return whether any of their streams is followed.

    Locks the streams until the transaction ends.
    """
    streams = [event.stream_id for event in events]
    kinds = [str(event.kind) for event in events]
    details = [json.dumps(dict(event.details), default=str) for event in events]
    unlocked = sorted({event.stream_id for event in events if event.unlocked})
    tx.lock_order.hold(LockKind.STREAM, tx.world_id)
    followed = (await tx.execute_text(_PUBLISH, (tx.world_id, streams, kinds, details, unlocked))).all()
    for row in followed:
        note_published(tx, row[0])
    return bool(followed)


async def _publish(tx: Transaction, events: list[UnpublishedEvent]) -> None:
    await publish_events(tx, events)


def note_published(tx: Transaction, stream_id: UUID) -> None:
    """Notify the followers of a stream when this transaction, which has published to it, is committed."""
    tx.notify_after_commit(live_topic(stream_id))


def live_topic(stream_id: UUID) -> str:
    """Return the topic that is notified when a stream has new events."""
    return f"live:{stream_id}"


async def remove_streams(tx: Transaction, stream_ids: Iterable[UUID]) -> None:
    """Remove the streams of stories or sessions that are removed, with their events and the players who are there.

    Their followers are notified.
    """
    columns, ids = live_streams.c, list(stream_ids)
    there = (present_players.c.world_id == tx.world_id, present_players.c.stream_id.in_(ids))
    await tx.execute(delete(present_players).where(*there))  # before the streams: one who joins publishes at the end
    ours = (columns.world_id == tx.world_id, columns.stream_id.in_(ids))
    for row in await tx.execute(delete(live_streams).where(*ours).returning(columns.stream_id)):
        note_published(tx, row.stream_id)
