"""Rows that refer to what is not there: a foreign key prevents them, unless it was off during a restore."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Select, Table, func, literal_column, select, union_all
from sqlalchemy.dialects import postgresql

from livingworld.doctor.world_check import WorldCheck
from livingworld.schema import metadata

_TEXT: Final = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
_WORLD_ID: Final[ColumnElement[Any]] = literal_column(":world_id")


def _finds() -> Iterator[Select[Any]]:
    """Yield a question for each foreign key inside of a world, from the tables as they are declared."""
    for table in metadata.sorted_tables:
        for key in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
            if "world_id" in table.c and key.column_keys != ["world_id"]:
                yield _find(table, key)


def _find(table: Table, key: ForeignKeyConstraint) -> Select[Any]:
    child, parent = table.alias("child"), key.referred_table.alias("parent")
    pairs = [(each.parent.name, each.column.name) for each in key.elements if each.column.name != "world_id"]
    there = [child.c[own].is_not(None) for own, _ in pairs]
    same = [parent.c[other] == child.c[own] for own, other in pairs]
    found = select(literal_column("1")).where(parent.c.world_id == _WORLD_ID, *same).exists()
    name: ColumnElement[Any] = literal_column(f"'{key.name}'")
    return (
        select(name.label("reference"), func.count().label("rows"))
        .select_from(child)
        .where(child.c.world_id == _WORLD_ID, *there, ~found)
        .having(func.count() > literal_column("0"))
    )


REFERENCE_CHECKS: Final = (
    WorldCheck(
        name="references_lost",
        find=str(union_all(*_finds()).compile(dialect=_TEXT)),
        wrong="Rows refer to a row that does not exist, which a foreign key prevents unless it was off.",
        meaning="What they belong to is gone: a member of a cast, a name, an action or an answer is not found, or is "
        "an error when it is read.",
        repair="Refused: which of both is wrong is not known. Restore the world from a backup, with its foreign keys.",
    ),
)
