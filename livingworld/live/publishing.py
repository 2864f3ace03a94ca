"""Events of the application's own, in the streams of livingworld and numbered with its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from livingworld.errors import InvalidJson, InvalidText
from livingworld.inputs import canonical_json, check_json_object, check_label
from livingworld.live.log import UnpublishedEvent, publish_events, publish_unlocked_at_commit
from livingworld.live.streams import Stream, Streams
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit

#: Most characters of the details of an event, as JSON without spaces.
MAX_EVENT_CHARACTERS: Final = 8_000


class LivePublisher:
    """Publishes the application's own small events to those who follow a story, a session or the world."""

    def __init__(self, unit: WorldUnit, streams: Streams) -> None:
        self._unit = unit
        self._streams = streams

    async def publish(
        self,
        kind: str,
        details: Mapping[str, Any] | None = None,
        *,
        story: UUID | None = None,
        session: UUID | None = None,
    ) -> None:
        """Publish an event of the application to the followers of a story, a session, or the world itself.

        It has the next number of its stream, so it comes in order with livingworld's own events; in a transaction it is
        published with the commit, and not at all without. Nothing is stored while there is no follower. `kind` is one
        word, so that it is never one of LiveKind; `details` has at most 8,000 characters of JSON. Locks nothing of the
        story or session. Raises StoryNotFound, SessionNotFound, WorldNotFound, CommitUnknown.
        """
        stream = self._streams.named(self._unit.world_id, story, session)
        event = UnpublishedEvent(stream.id, check_kind(kind), check_details(details), unlocked=True)
        await self._unit.write_single(_publish, stream, event)


async def _publish(tx: Transaction, stream: Stream, event: UnpublishedEvent) -> None:
    """Publish at once by a single statement, else with the commit; what is followed exists."""
    if tx.is_single:
        if not await publish_events(tx, [event]):
            await stream.find(tx, stream.id)  # no follower, or nothing to follow
        return
    await stream.find(tx, stream.id)
    publish_unlocked_at_commit(tx, event)


def check_kind(kind: object) -> str:
    """Return the kind of an application's event, which is one word: the kinds of livingworld have several."""
    text = check_label("kind", kind)
    if text.split() != [text]:
        raise InvalidText("kind", "must be one word without spaces: kinds of several words are livingworld's own")
    return text


def check_details(details: object) -> dict[str, Any]:
    """Return the details of an application's event, which are small."""
    checked = check_json_object("details", {} if details is None else details)
    size = len(canonical_json(checked))
    if size > MAX_EVENT_CHARACTERS:
        reason = f"have {size} characters as JSON; the limit is {MAX_EVENT_CHARACTERS}: publish the id of what is large"
        raise InvalidJson("details", reason)
    return checked
