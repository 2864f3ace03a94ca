"""Facts: set at the head of a branch, read on the path of any branch or scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from livingworld.errors import VersionConflict
from livingworld.inputs import canonical_json, check_integer, check_label
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.characters.references import raise_unknown
from livingworld.story.facts.new_facts import RETRACTED, WORD, check_subject, fact_row, fact_rows, subject_references
from livingworld.story.facts.records import Fact
from livingworld.story.facts.rows import make_fact, written_fact
from livingworld.story.stories.at_least import AtLeast, wanted
from livingworld.story.stories.coordinates import PLACE, Viewpoint, check_place, lock_head, read_at

_VISIBLE: Final = f"""
    SELECT fact.* FROM {PLACE}
    CROSS JOIN LATERAL livingworld.referred_subject_v1($1, $5) AS about
    CROSS JOIN LATERAL livingworld.visible_facts_v1(
        $1, $2, place.timeline_number, place.position, about.subject, $6
    ) AS fact
"""  # noqa: S608 - no value in it
_HISTORY: Final = f"""
    SELECT fact.*, livingworld.name_of_subject_v1($1, fact.subject) AS name FROM {PLACE}
    CROSS JOIN LATERAL livingworld.referred_subject_v1($1, $5) AS about
    CROSS JOIN LATERAL livingworld.path_ranges_v1($1, $2, place.timeline_number, place.position) AS range
    CROSS JOIN LATERAL (
        SELECT f.subject, f.attribute, f.value::text AS value, f.version, f.scene_number, f.created_at, f.position
        FROM livingworld.facts AS f
        WHERE f.world_id = $1 AND f.story_id = $2 AND f.subject = about.subject AND f.attribute = $6
            AND f.archived_in IS NULL
            AND f.timeline_number = range.timeline_number
            AND f.position BETWEEN range.from_position AND range.to_position
    ) AS fact
    ORDER BY fact.position, fact.version
"""  # noqa: S608 - no value in it
_WRITE: Final = """
    SELECT named.unknown, written.* FROM livingworld.named_characters_v1($1, $7) AS named
    LEFT JOIN LATERAL livingworld.write_facts_v1(
        $1, $2, $3, $4, $5, CASE WHEN named.unknown IS NULL THEN $6 ELSE '[]' END, named.ids
    ) AS written ON true
"""
_TRUE_VERSION: Final = """
    SELECT fact.version FROM livingworld.referred_subject_v1($1, $5) AS about
    CROSS JOIN LATERAL livingworld.visible_facts_v1($1, $2, $3, $4, about.subject, $6) AS fact
"""


class FactRepository:
    """The facts of the stories of one world.

    A subject is a character, by its id or any of its names, or a `Subject`; every call raises CharacterNotFound for a
    name that no character has. Every write locks the story and stands at the scene at the head of the branch; undoing
    that scene takes it back, and every path that contains the scene has it. Raises StoryNotFound, BranchNotFound,
    Archived, and StaleHead when the branch is not at `expected_head`.
    """

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def set(
        self,
        story_id: UUID,
        subject: UUID | str,
        attribute: str,
        value: Any,  # noqa: ANN401 - a JSON value
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> Fact:
        """Make a fact true from the scene at the head on, and return it; None is JSON's null, a value."""
        row = fact_row(subject, attribute, value)
        check_place(story_id, branch, expected_head)
        return (await self._unit.write(_write, story_id, [row], branch, expected_head))[0]

    async def set_many(
        self,
        story_id: UUID,
        facts: Mapping[tuple[UUID | str, str], Any],
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> tuple[Fact, ...]:
        """Make facts true, given by (subject, attribute), all or none, and return them in the order given."""
        rows = fact_rows(facts)
        if not rows:
            return ()
        check_place(story_id, branch, expected_head)
        return await self._unit.write(_write, story_id, rows, branch, expected_head)

    async def compare_and_set(
        self,
        story_id: UUID,
        subject: UUID | str,
        attribute: str,
        value: Any,  # noqa: ANN401 - a JSON value
        *,
        expected_version: int,
        branch: int | None = None,
    ) -> Fact:
        """Set a fact if the version that is true on the branch is the expected one, 0 when none is, and return it.

        Raises VersionConflict otherwise, also when the same value was set again meanwhile.
        """
        check_integer("expected_version", expected_version)
        row = fact_row(subject, attribute, value)
        check_place(story_id, branch, None)
        return (await self._unit.write(_write, story_id, [row], branch, None, expected_version))[0]

    async def retract(
        self,
        story_id: UUID,
        subject: UUID | str,
        attribute: str,
        *,
        branch: int | None = None,
        expected_version: int | None = None,
        expected_head: int | None = None,
    ) -> None:
        """Retract a fact from the scene at the head on, also one that was never set.

        Raises VersionConflict when `expected_version` is given and is not the one that is true.
        """
        if expected_version is not None:
            check_integer("expected_version", expected_version)
        row = fact_row(subject, attribute, RETRACTED)
        check_place(story_id, branch, expected_head)
        await self._unit.write(_write, story_id, [row], branch, expected_head, expected_version)

    async def get(
        self,
        story_id: UUID,
        subject: UUID | str,
        attribute: str,
        *,
        branch: int | None = None,
        as_of: int | None = None,
        at_least: AtLeast | None = None,
    ) -> Fact | None:
        """Return what is true at the head of a branch, or at a scene, or None; one round trip.

        Raises StoryNotFound, BranchNotFound, SceneNotFound.
        """
        name = (check_subject("subject", subject), check_label("attribute", attribute))
        view, newest = Viewpoint(story_id, branch, as_of), wanted(self._unit, at_least, story_id)
        found = await self._unit.read_at_least(newest, _read, _VISIBLE, view, *name)
        return found[0] if found else None

    async def all(
        self,
        story_id: UUID,
        subject: UUID | str | None = None,
        *,
        branch: int | None = None,
        as_of: int | None = None,
        at_least: AtLeast | None = None,
    ) -> tuple[Fact, ...]:
        """Return everything that is true there, of one subject or of all, in their order; one round trip.

        Raises as `get`.
        """
        of = None if subject is None else check_subject("subject", subject)
        view, newest = Viewpoint(story_id, branch, as_of), wanted(self._unit, at_least, story_id)
        return await self._unit.read_at_least(newest, _read, _VISIBLE, view, of, None)

    async def history(
        self,
        story_id: UUID,
        subject: UUID | str,
        attribute: str,
        *,
        branch: int | None = None,
        as_of: int | None = None,
        at_least: AtLeast | None = None,
    ) -> tuple[Fact, ...]:
        """Return every value that the fact has had on the path, oldest first, retractions too; raises as `get`."""
        name = (check_subject("subject", subject), check_label("attribute", attribute))
        view, newest = Viewpoint(story_id, branch, as_of), wanted(self._unit, at_least, story_id)
        return await self._unit.read_at_least(newest, _read, _HISTORY, view, *name)


async def _read(
    tx: Transaction, statement: str, view: Viewpoint, subject: str | None, attribute: str | None
) -> tuple[Fact, ...]:
    asked = () if subject is None or subject.startswith(WORD) else (subject,)
    rows = await read_at(tx, statement, view, subject, attribute, characters=asked)
    return tuple(make_fact(row) for row in rows)


async def _write(
    tx: Transaction,
    story_id: UUID,
    rows: list[dict[str, Any]],
    branch: int | None,
    expected_head: int | None,
    expected_version: int | None = None,
) -> tuple[Fact, ...]:
    """Write facts at the head of a branch; `expected_version` is that of the first."""
    place = await lock_head(tx, story_id, branch, expected_head)
    at = place.written_at(tx.world_id, story_id)
    if expected_version is not None:
        await _refuse_another_version(tx, at, rows[0], expected_version)
    written = (await tx.execute_text(_WRITE, (*at, canonical_json(rows), list(subject_references(rows))))).all()
    raise_unknown(written[0].unknown)
    return tuple(written_fact(row, place, stored) for row, stored in zip(rows, written, strict=True))


async def _refuse_another_version(tx: Transaction, at: tuple[Any, ...], row: dict[str, Any], expected: int) -> None:
    """Raise VersionConflict unless the expected version is true at the place; the story is locked."""
    world_id, story_id, timeline, position, _ = at
    key = (world_id, story_id, timeline, position, row["subject"], row["attribute"])
    actual = (await tx.execute_text(_TRUE_VERSION, key)).scalar() or 0
    if actual != expected:
        raise VersionConflict(expected=expected, actual=actual)
