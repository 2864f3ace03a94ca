"""Facts: set at the head of a branch, read on the path of any branch or scene."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from livingworld.errors import VersionConflict
from livingworld.inputs import canonical_json, check_integer, check_label
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork
from livingworld.story.facts.new_facts import RETRACTED, Subject, check_subject, fact_row, fact_rows
from livingworld.story.facts.records import Fact
from livingworld.story.stories.coordinates import PLACE, Place, Viewpoint, check_place, lock_head, refuse_no_place

_VISIBLE: Final = f"""
    SELECT fact.* FROM {PLACE}
    CROSS JOIN LATERAL livingworld.visible_facts_v1($1, $2, place.timeline_number, place.position, $5, $6) AS fact
"""  # noqa: S608 - no value in it
_HISTORY: Final = f"""
    SELECT fact.* FROM {PLACE}
    CROSS JOIN LATERAL livingworld.path_ranges_v1($1, $2, place.timeline_number, place.position) AS range
    CROSS JOIN LATERAL (
        SELECT f.subject, f.attribute, f.value::text AS value, f.version, f.scene_number, f.created_at, f.position
        FROM livingworld.facts AS f
        WHERE f.world_id = $1 AND f.story_id = $2 AND f.subject = $5 AND f.attribute = $6 AND f.archived_in IS NULL
            AND f.timeline_number = range.timeline_number
            AND f.position BETWEEN range.from_position AND range.to_position
    ) AS fact
    ORDER BY fact.position, fact.version
"""  # noqa: S608 - no value in it
_WRITE: Final = "SELECT * FROM livingworld.write_facts_v1($1, $2, $3, $4, $5, $6)"


class FactRepository:
    """The facts of the stories of one world.

    Every write locks the story and stands at the scene where the branch stands then; whoever undoes that scene takes it
    back, and every path that contains the scene has it. Raises StoryNotFound, BranchNotFound, Archived, and StaleHead
    when the branch is not at `expected_head`.
    """

    def __init__(self, unit: UnitOfWork, world_id: UUID) -> None:
        self._unit = unit
        self._world_id = world_id

    async def set(
        self,
        story_id: UUID,
        subject: Subject,
        attribute: str,
        value: Any,  # noqa: ANN401 - a JSON value
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> Fact:
        """Make a fact true from the scene at the head on, and return it; None is JSON's null, a value."""
        row = fact_row(subject, attribute, value)
        return (await self._write(story_id, [row], branch, expected_head, None))[0]

    async def set_many(
        self,
        story_id: UUID,
        facts: Mapping[tuple[Subject, str], Any],
        *,
        branch: int | None = None,
        expected_head: int | None = None,
    ) -> tuple[Fact, ...]:
        """Make facts true, given by (subject, attribute), all or none, and return them in the order given."""
        rows = fact_rows(facts)
        return tuple(await self._write(story_id, rows, branch, expected_head, None)) if rows else ()

    async def compare_and_set(
        self,
        story_id: UUID,
        subject: Subject,
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
        return (await self._write(story_id, [row], branch, None, expected_version))[0]

    async def retract(
        self,
        story_id: UUID,
        subject: Subject,
        attribute: str,
        *,
        branch: int | None = None,
        expected_version: int | None = None,
        expected_head: int | None = None,
    ) -> None:
        """Let a fact be true no more from the scene at the head on; also when it never was.

        Raises VersionConflict when `expected_version` is given and is not the one that is true.
        """
        if expected_version is not None:
            check_integer("expected_version", expected_version)
        row = fact_row(subject, attribute, RETRACTED)
        await self._write(story_id, [row], branch, expected_head, expected_version)

    async def get(
        self, story_id: UUID, subject: Subject, attribute: str, *, branch: int | None = None, as_of: int | None = None
    ) -> Fact | None:
        """Return what is true at the head of a branch, or at a scene, or None; one round trip.

        Raises StoryNotFound, BranchNotFound, SceneNotFound.
        """
        name = (check_subject("subject", subject), check_label("attribute", attribute))
        found = await self._read(_VISIBLE, Viewpoint(story_id, branch, as_of), *name)
        return found[0] if found else None

    async def all(
        self, story_id: UUID, subject: Subject | None = None, *, branch: int | None = None, as_of: int | None = None
    ) -> tuple[Fact, ...]:
        """Return everything that is true there, of one subject or of all, in their order; one round trip.

        Raises as `get`.
        """
        of = None if subject is None else check_subject("subject", subject)
        return await self._read(_VISIBLE, Viewpoint(story_id, branch, as_of), of, None)

    async def history(
        self, story_id: UUID, subject: Subject, attribute: str, *, branch: int | None = None, as_of: int | None = None
    ) -> tuple[Fact, ...]:
        """Return every value that the fact has had on the path, oldest first, retractions too; raises as `get`."""
        name = (check_subject("subject", subject), check_label("attribute", attribute))
        return await self._read(_HISTORY, Viewpoint(story_id, branch, as_of), *name)

    async def _read(
        self, statement: str, view: Viewpoint, subject: str | None, attribute: str | None
    ) -> tuple[Fact, ...]:
        async def work(tx: Transaction) -> tuple[Fact, ...]:
            rows = (await tx.execute_text(statement, (*view.parameters(self._world_id), subject, attribute))).all()
            if not rows:
                await refuse_no_place(tx, view)
            return tuple(_fact(row) for row in rows)

        return await self._unit.run(work, repeatable=True, single_statement=True)

    async def _write(
        self,
        story_id: UUID,
        rows: list[dict[str, Any]],
        branch: int | None,
        expected_head: int | None,
        expected_version: int | None,
    ) -> list[Fact]:
        check_place(story_id, branch, expected_head)

        async def work(tx: Transaction) -> list[Fact]:
            place = await lock_head(tx, story_id, branch, expected_head)
            if expected_version is not None:
                await self._refuse_another_version(tx, story_id, place, rows[0], expected_version)
            return await self._store(tx, story_id, place, rows)

        return await self._unit.run(work)

    async def _store(self, tx: Transaction, story_id: UUID, place: Place, rows: list[dict[str, Any]]) -> list[Fact]:
        at = (self._world_id, story_id, place.timeline, place.position, place.scene_number)
        stored = (await tx.execute_text(_WRITE, (*at, canonical_json(rows)))).all()
        versions = {(row.subject, row.attribute): row for row in stored}
        return [
            Fact(
                subject=row["subject"],
                attribute=row["attribute"],
                value=row.get("value"),
                version=(new := versions[row["subject"], row["attribute"]]).version,
                scene_number=place.scene_number,
                retracted="value" not in row,
                created_at=new.created_at,
            )
            for row in rows
        ]

    async def _refuse_another_version(
        self, tx: Transaction, story_id: UUID, place: Place, row: dict[str, Any], expected: int
    ) -> None:
        """Raise VersionConflict unless the expected version is true at the place; the story is locked."""
        true = "SELECT version FROM livingworld.visible_facts_v1($1, $2, $3, $4, $5, $6)"
        at = (self._world_id, story_id, place.timeline, place.position)
        actual = (await tx.execute_text(true, (*at, row["subject"], row["attribute"]))).scalar() or 0
        if actual != expected:
            raise VersionConflict(expected=expected, actual=actual)


def _fact(row: Row[Any]) -> Fact:
    return Fact(
        subject=row.subject,
        attribute=row.attribute,
        value=None if row.value is None else json.loads(row.value),
        version=row.version,
        scene_number=row.scene_number,
        retracted=row.value is None,
        created_at=row.created_at,
    )
