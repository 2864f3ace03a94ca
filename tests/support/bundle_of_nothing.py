"""The bundles of a world in which nothing is and of a story without a scene, made without a database."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
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
_ONE: Final = ("last_timeline_number", "last_branch_number", "current_branch", "branch_number", "timeline_number")
_VALUES: Final = {
    "name": "Nothing",
    "title": "Nothing",
    "premise": "",
    "system_prompt": "",
    "status": "active",
    "archived": "false",
    "settings": "{}",
    "version": "1",
    **dict.fromkeys(_ONE, "1"),
    "last_scene_number": "0",
    "head_timeline": "1",
    "head_position": "0",
    "fork_position": "0",
}
#: As PostgreSQL writes it.
_TIMES: Final = dict.fromkeys(("created_at", "updated_at"), "2026-11-22 00:00:00+00")
#: Of a story that was never played, its place in the list: when it was created.
_NEVER_PLAYED: Final = {"story_activity": {"last_scene_at": "2026-11-22 00:00:00+00"}}


def bundle_of_nothing() -> BytesIO:
    """Return the bundle of a world, to be read."""
    header = Header(world_id=new_id(), story_id=None, revision=revisions()[-1], moment=_TIME, vectors=True)
    return _bundle(header, {"worlds"})


def bundle_of_no_scene() -> BytesIO:
    """Return the bundle of a story that has its first branch and no scene, to be read."""
    header = Header(world_id=new_id(), story_id=new_id(), revision=revisions()[-1], moment=_TIME, vectors=False)
    return _bundle(header, {"stories", "story_activity", "timelines", "branches"})


def _bundle(header: Header, tables: AbstractSet[str]) -> BytesIO:
    """Return a bundle with one row in each of these tables."""
    chain, counts = Chain(), {}
    lines = [header_line(chain, first_line(header))]
    for part in parts(header):
        name = part.table.name
        lines.append(table_line(chain, name, part.names))
        counts[name] = int(name in tables)
        if name in tables:
            values = _VALUES | _TIMES | _NEVER_PLAYED.get(name, {}) | {"story_id": str(header.story_id)}
            lines.append(row_line(chain, canonical_json([values.get(name) for name in part.names])))
    return BytesIO(b"".join([*lines, trailer_line(chain, counts)]))
