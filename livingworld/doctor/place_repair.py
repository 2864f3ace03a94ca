"""The repair of one place: a story, a lane, a document, ..., in one transaction that holds its lock."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import text

from livingworld.doctor.world_check import WorldCheck
from livingworld.errors import DataCorrupted
from livingworld.postgres.locks import lock_row
from livingworld.postgres.transactions.transaction import Transaction

_PARAMETER: Final = re.compile(r"(?<![:\w]):(\w+)")


async def places(tx: Transaction, check: WorldCheck) -> list[object]:
    """Return the keys of the rows to be locked where a check finds something, in their order; one statement."""
    column = _column(check)
    if column is None:
        return [None]
    statement = f"SELECT DISTINCT found.{column} AS place FROM ({check.find}) found ORDER BY 1"  # noqa: S608 - our own words
    return [row.place for row in await tx.execute(text(statement), {"world_id": tx.world_id})]


async def repair_place(tx: Transaction, check: WorldCheck, place: object) -> int:
    """Lock a place, look again, repair what is found, and return 1, or 0 when nothing is wrong any longer.

    Raises DataCorrupted when something is still wrong afterwards: then everything is rolled back.
    """
    await _lock(tx, check, place)
    rows = await _found(tx, check, place)
    for row in rows:
        for statement in check.statements:
            names = set(_PARAMETER.findall(statement)) - {"world_id"}
            await tx.execute(text(statement), {"world_id": tx.world_id} | {name: row[name] for name in names})
    if rows and await _found(tx, check, place):
        raise DataCorrupted(f"It is still wrong after its repair, which was rolled back: {check.name}.")
    return 1 if rows else 0


async def _lock(tx: Transaction, check: WorldCheck, place: object) -> None:
    assert check.root is not None  # noqa: S101 - a finding of it is not repairable
    key: dict[str, object] = {"world_id": tx.world_id}
    if check.root.column is not None:
        key[check.root.column] = place
    await lock_row(tx, check.root.kind, check.root.table, key)


async def _found(tx: Transaction, check: WorldCheck, place: object) -> list[dict[str, Any]]:
    column, parameters = _column(check), dict[str, object](world_id=tx.world_id)
    statement = f"SELECT found.* FROM ({check.find}) found"  # noqa: S608 - our own words
    if column is not None:
        statement, parameters["place"] = f"{statement} WHERE found.{column} = :place", place
    return [dict(row) for row in (await tx.execute(text(statement), parameters)).mappings()]


def _column(check: WorldCheck) -> str | None:
    return None if check.root is None else check.root.column
