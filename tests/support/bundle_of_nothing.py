"""The bundles of a world and of a story in which nothing is, made without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Final

from livingworld.bundles.contents import parts
from livingworld.bundles.exporting import first_line
from livingworld.bundles.lines import Chain, header_line, row_line, table_line, trailer_line
from livingworld.bundles.records import Header
from livingworld.identifiers import new_id
from livingworld.inputs import canonical_json
from livingworld.postgres.migrations import revisions

_TIME: Final = datetime(2026, 11, 22, tzinfo=UTC)
_VALUES: Final = {
    "name": "Nothing",
    "title": "Nothing",
    "premise": "",
    "system_prompt": "",
    "status": "active",
    "settings": "{}",
    "version": "1",
    "last_scene_number": "0",
    **dict.fromkeys(("last_timeline_number", "last_branch_number", "current_branch"), "1"),
}
#: As PostgreSQL writes it.
_TIMES: Final = dict.fromkeys(("created_at", "updated_at"), "2026-11-22 00:00:00+00")


def bundle_of_nothing() -> BytesIO:
    """Return the bundle of a world, to be read."""
    return _bundle(Header(world_id=new_id(), story_id=None, revision=revisions()[-1], moment=_TIME, vectors=True))


def bundle_of_no_story() -> BytesIO:
    """Return the bundle of a story without branches, to be read."""
    return _bundle(Header(world_id=new_id(), story_id=new_id(), revision=revisions()[-1], moment=_TIME, vectors=False))


def _bundle(header: Header) -> BytesIO:
    chain, counts = Chain(), {}
    lines = [header_line(chain, first_line(header))]
    for number, part in enumerate(parts(header)):  # the first table is that of the world, or of the story
        lines.append(table_line(chain, part.table.name, part.names))
        counts[part.table.name] = int(not number)
        if not number:
            values = _VALUES | _TIMES | {"story_id": str(header.story_id)}
            lines.append(row_line(chain, canonical_json([values.get(name) for name in part.names])))
    return BytesIO(b"".join([*lines, trailer_line(chain, counts)]))
