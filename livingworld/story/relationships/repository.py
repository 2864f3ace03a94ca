"""Relationships: changed at the head of a branch, read on the path of any branch or scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from livingworld.errors import InvalidType
from livingworld.inputs import UNCHANGED, Unchanged, canonical_json, check_sequence
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.characters.references import check_character, raise_unknown
from livingworld.story.relationships.records import LedgerEntry, Relationship, RelationshipChange
from livingworld.story.relationships.rows import make_entry, make_relationship
from livingworld.story.stories.at_least import AtLeast, wanted
from livingworld.story.stories.coordinates import PLACE, Viewpoint, check_place, lock_head, read_at

#: Most changes of one call.
MAX_CHANGES: Final = 1000
#: FROM items that are both ends, whose references are $5 and $6.
_ENDS: Final = """
    livingworld.referred_character_v1($1, $5) AS source CROSS JOIN livingworld.referred_character_v1($1, $6) AS target
"""
_VISIBLE: Final = f"""
    SELECT felt.* FROM {PLACE} CROSS JOIN {_ENDS}
    CROSS JOIN LATERAL livingworld.visible_relationships_v1(
        $1, $2, place.timeline_number, place.position, source.character_id, target.character_id
    ) AS felt
"""  # noqa: S608 - no value in it
_LEDGER: Final = f"""
    SELECT change.* FROM {PLACE} CROSS JOIN {_ENDS}
    CROSS JOIN LATERAL livingworld.path_ranges_v1($1, $2, place.timeline_number, place.position) AS range
    CROSS JOIN LATERAL (
        SELECT * FROM livingworld.relationship_changes AS c
        WHERE c.world_id = $1 AND c.story_id = $2 AND c.source_id = source.character_id
            AND c.target_id = target.character_id AND c.archived_in IS NULL
            AND c.timeline_number = range.timeline_number
            AND c.position BETWEEN range.from_position AND range.to_position
    ) AS change
    ORDER BY change.position, change.version
"""  # noqa: S608 - no value in it
_FELT: Final = f"""
    SELECT felt.* FROM {_ENDS}
    CROSS JOIN LATERAL livingworld.last_relationship_v1(
        $1, $2, source.character_id, target.character_id, $3, $4, NULL
    ) AS felt
"""  # noqa: S608 - no value in it
_WRITE: Final = """
    SELECT named.unknown, written.* FROM livingworld.named_characters_v1($1, $7) AS named
    LEFT JOIN LATERAL livingworld.write_relationships_v1(
        $1, $2, $3, $4, $5, CASE WHEN named.unknown IS NULL THEN $6 ELSE '[]' END, named.ids
    ) AS written ON true
"""


class RelationshipRepository:
    """What characters feel toward each other in the stories of one world.

    Every write locks the story and stands at the scene at the head of the branch; undoing that scene takes it back, and
    every path that contains the scene has it. Raises StoryNotFound, BranchNotFound, Archived, and StaleHead
    when the branch is not at `expected_head`. A character is given by its id or any of its names; every call raises
    CharacterNotFound for one that is not there.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def adjust(  # noqa: PLR0913 - what is felt has these parts
        self,
        story_id: UUID,
        source: UUID | str,
        target: UUID | str,
        *,
        sentiment: float = 0.0,
        trust: float = 0.0,
        familiarity: float = 0.0,
        kind: str | Unchanged | None = UNCHANGED,
        notes: str | Unchanged | None = UNCHANGED,
        reason: str | None = None,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> Relationship:
        """Add to what `source` feels toward `target`, keep the change in the ledger, and return what is felt now.

        None takes the kind or the notes away. Sums are clamped: sentiment and trust to -1..1, familiarity to 0..1.
        Raises SameCharacter when both are names of one.
        """
        change = RelationshipChange(source, target, sentiment, trust, familiarity, kind, reason, notes=notes)
        (felt,) = await self.adjust_many(story_id, [change], branch=branch, expected_head=expected_head)
        return felt

    async def get_or_create(  # noqa: PLR0913 - what is felt has these parts
        self,
        story_id: UUID,
        source: UUID | str,
        target: UUID | str,
        *,
        sentiment: float = 0.0,
        trust: float = 0.0,
        familiarity: float = 0.0,
        kind: str | None = None,
        notes: str | None = None,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> tuple[Relationship, bool]:
        """Return what `source` feels toward `target`, and whether this call began it with these values.

        Where something is felt already it is returned as it is. Raises as `adjust`.
        """
        check_place(story_id, branch, expected_head)
        change = RelationshipChange(source, target, sentiment, trust, familiarity, kind, notes=notes, first=True)
        return await self._unit.write(_begin, story_id, change.row(), branch, expected_head)

    async def adjust_many(
        self,
        story_id: UUID,
        changes: Sequence[RelationshipChange],
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> tuple[Relationship, ...]:
        """Carry out changes one after the other, all or none, and return what each led to; raises as `adjust`."""
        check_place(story_id, branch, expected_head)
        given = check_sequence("changes", changes, limit=MAX_CHANGES)
        rows = [_row(f"changes[{index}]", change) for index, change in enumerate(given)]
        return await self._unit.write(_adjust, story_id, rows, branch, expected_head) if rows else ()

    async def between(
        self,
        story_id: UUID,
        source: UUID | str,
        target: UUID | str,
        *,
        branch: int | None = None,
        as_of: int | None = None,
        at_least: AtLeast | None = None,
    ) -> Relationship | None:
        """Return what `source` feels toward `target` at the head of a branch, or at a scene; None: nothing yet.

        One round trip. Raises StoryNotFound, BranchNotFound, SceneNotFound.
        """
        ends = (check_character("source", source), check_character("target", target))
        view, newest = Viewpoint(story_id, branch, as_of), wanted(self._unit, at_least, story_id)
        found = await self._unit.read_at_least(newest, _read, view, *ends)
        return found[0] if found else None

    async def of(
        self,
        story_id: UUID,
        source: UUID | str,
        *,
        branch: int | None = None,
        as_of: int | None = None,
        at_least: AtLeast | None = None,
    ) -> tuple[Relationship, ...]:
        """Return what a character feels toward all others, in the order of ids; raises as `between`."""
        view, newest = Viewpoint(story_id, branch, as_of), wanted(self._unit, at_least, story_id)
        return await self._unit.read_at_least(newest, _read, view, check_character("source", source), None)

    async def graph(
        self, story_id: UUID, *, branch: int | None = None, as_of: int | None = None, at_least: AtLeast | None = None
    ) -> tuple[Relationship, ...]:
        """Return what all characters feel toward each other, in the order of ids; raises as `between`."""
        view, newest = Viewpoint(story_id, branch, as_of), wanted(self._unit, at_least, story_id)
        return await self._unit.read_at_least(newest, _read, view, None, None)

    async def ledger(
        self,
        story_id: UUID,
        source: UUID | str,
        target: UUID | str,
        *,
        branch: int | None = None,
        as_of: int | None = None,
        at_least: AtLeast | None = None,
    ) -> tuple[LedgerEntry, ...]:
        """Return every change on the path, oldest first: added up and clamped one by one they are what is felt.

        Raises as `between`.
        """
        ends = (check_character("source", source), check_character("target", target))
        view, newest = Viewpoint(story_id, branch, as_of), wanted(self._unit, at_least, story_id)
        return await self._unit.read_at_least(newest, _read_ledger, view, *ends)


async def _adjust(
    tx: Transaction, story_id: UUID, rows: Sequence[dict[str, Any]], branch: int | None, expected_head: int | None
) -> tuple[Relationship, ...]:
    place = await lock_head(tx, story_id, branch, expected_head)
    at = place.written_at(tx.world_id, story_id)
    ends = sorted({row[end] for row in rows for end in ("source", "target")})
    written = (await tx.execute_text(_WRITE, (*at, canonical_json(rows), ends))).all()
    raise_unknown(written[0].unknown)
    return tuple(map(make_relationship, written))


async def _begin(
    tx: Transaction, story_id: UUID, row: dict[str, Any], branch: int | None, expected_head: int | None
) -> tuple[Relationship, bool]:
    place = await lock_head(tx, story_id, branch, expected_head)
    at = place.written_at(tx.world_id, story_id)
    felt = (await tx.execute_text(_FELT, (*at[:4], row["source"], row["target"]))).one_or_none()
    if felt is not None:
        return make_relationship(felt), False
    written = (await tx.execute_text(_WRITE, (*at, canonical_json([row]), [row["source"], row["target"]]))).one()
    raise_unknown(written.unknown)
    return make_relationship(written), True


async def _read(tx: Transaction, view: Viewpoint, source: str | None, target: str | None) -> tuple[Relationship, ...]:
    ends = [end for end in (source, target) if end is not None]
    return tuple(map(make_relationship, await read_at(tx, _VISIBLE, view, source, target, characters=ends)))


async def _read_ledger(tx: Transaction, view: Viewpoint, source: str, target: str) -> tuple[LedgerEntry, ...]:
    rows = await read_at(tx, _LEDGER, view, source, target, characters=(source, target))
    return tuple(map(make_entry, rows))


def _row(field: str, change: object) -> dict[str, Any]:
    if not isinstance(change, RelationshipChange):
        raise InvalidType(field, f"must be a RelationshipChange, not {type(change).__name__}")
    return change.row()
