"""Rows that refer to what is not there: a foreign key prevents them, unless it was off during a restore."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from livingworld.doctor.world_check import WorldCheck
from livingworld.schema import metadata


def _finds() -> Iterator[str]:
    """Yield a question for each foreign key inside of a world, from the tables as they are declared."""
    for table in metadata.sorted_tables:
        for key in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
            pairs = [(each.parent.name, each.column.name) for each in key.elements if each.column.name != "world_id"]
            if not pairs or "world_id" not in table.c:
                continue
            there = " AND ".join(f"c.{own} IS NOT NULL" for own, _ in pairs)
            same = " AND ".join(f"p.{other} = c.{own}" for own, other in pairs)
            yield f"""
            SELECT '{key.name}' AS reference, count(*) AS rows FROM livingworld.{table.name} c
            WHERE c.world_id = :world_id AND {there} AND NOT EXISTS (
                SELECT FROM livingworld.{key.referred_table.name} p WHERE p.world_id = :world_id AND {same}
            )
            HAVING count(*) > 0
            """  # noqa: S608 - names of our own tables


REFERENCE_CHECKS: Final = (
    WorldCheck(
        name="references_lost",
        find=" UNION ALL ".join(_finds()),
        wrong="Rows refer to a row that does not exist, which a foreign key prevents unless it was off.",
        meaning="What they belong to is gone: a member of a cast, a name, an action or an answer is not found, or is "
        "an error when it is read.",
        repair="Refused: which of both is wrong is not known. Restore the world from a backup, with its foreign keys.",
    ),
)
