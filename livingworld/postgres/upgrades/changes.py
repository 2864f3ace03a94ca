"""The changes that a revision is made of: each returns the steps that stop writers for two seconds at most.

Names are those of `tables.py`, without the schema. What a revision may not do to a filled table is not here: a default
that differs from row to row, another type of a column, an index or a constraint in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.upgrades.step import BUILDING, LONG, QUICK, Lock, Step

_COLUMN: Final = """SELECT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = to_regclass('{table}') AND attname = '{column}'
        AND NOT attisdropped{more}
)"""
_CONSTRAINT: Final = """SELECT EXISTS (
    SELECT FROM pg_constraint WHERE conrelid = to_regclass('{table}') AND conname = '{name}'{more}
)"""
_INDEX: Final = """SELECT EXISTS (
    SELECT FROM pg_index WHERE indexrelid = to_regclass('{name}') AND indisvalid
)"""


def add_column(table: str, column: str, definition: str) -> Step:
    """Return the step that adds a column; a default is a constant, and then no row is written."""
    return Step(
        title=f"column {table}.{column}",
        statements=(f"ALTER TABLE {_ours(table)} ADD COLUMN {column} {definition}",),
        tables=(table,),
        lock=Lock.ACCESS_EXCLUSIVE,
        limits=QUICK,
        done=_COLUMN.format(table=_ours(table), column=column, more=""),
    )


def drop_column(table: str, column: str) -> Step:
    """Return the step that drops a column; its space comes back as rows are written."""
    return Step(
        title=f"column {table}.{column} dropped",
        statements=(f"ALTER TABLE {_ours(table)} DROP COLUMN {column}",),
        tables=(table,),
        lock=Lock.ACCESS_EXCLUSIVE,
        limits=QUICK,
        done=_not(_COLUMN.format(table=_ours(table), column=column, more="")),
    )


def create_index(name: str, table: str, columns: str, *, unique: bool = False) -> Step:
    """Return the step that builds an index while others read and write; `columns` is all that follows ON table.

    One that an earlier run left unfinished is dropped and built again. While a unique one is built, or left
    unfinished, it refuses rows that are not.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"
    return Step(
        title=f"index {name}",
        statements=(
            f"DROP INDEX CONCURRENTLY IF EXISTS {_ours(name)}",
            f"CREATE {kind} CONCURRENTLY {name} ON {_ours(table)} {columns}",
        ),
        tables=(table,),
        lock=Lock.SHARE_UPDATE_EXCLUSIVE,
        limits=BUILDING,
        done=_INDEX.format(name=_ours(name)),
        in_transaction=False,
        scans=2,
    )


def drop_index(name: str, table: str) -> Step:
    """Return the step that drops an index while others read and write."""
    return Step(
        title=f"index {name} dropped",
        statements=(f"DROP INDEX CONCURRENTLY IF EXISTS {_ours(name)}",),
        tables=(table,),
        lock=Lock.SHARE_UPDATE_EXCLUSIVE,
        limits=BUILDING,
        done=f"SELECT to_regclass('{_ours(name)}') IS NULL",
        in_transaction=False,
    )


def add_check(table: str, name: str, condition: str) -> tuple[Step, Step]:
    """Return the steps that add a CHECK: for new rows at once, for the others after they were read."""
    return _constraint(table, name, f"CHECK ({condition})"), _validated(table, name)


def add_foreign_key(
    table: str, name: str, columns: Sequence[str], referred: str, referred_columns: Sequence[str], more: str = ""
) -> tuple[Step, Step]:
    """Return the steps that add a foreign key: for new rows at once, for the others after they were read."""
    key = f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {_ours(referred)} ({', '.join(referred_columns)}) {more}"
    return _constraint(table, name, key.rstrip(), referred, lock=Lock.SHARE_ROW_EXCLUSIVE), _validated(table, name)


def set_not_null(table: str, column: str) -> tuple[Step, Step, Step]:
    """Return the steps that make a column NOT NULL; a CHECK is validated first, so that the last step reads nothing."""
    name = f"nn_{table}_{column}"
    check = _CONSTRAINT.format(table=_ours(table), name=name, more="")
    is_set = _COLUMN.format(table=_ours(table), column=column, more=" AND attnotnull")
    last = Step(
        title=f"column {table}.{column} NOT NULL",
        statements=(
            f"ALTER TABLE {_ours(table)} ALTER COLUMN {column} SET NOT NULL",
            # Not in one statement: that would drop the CHECK first, and then read every row.
            f"ALTER TABLE {_ours(table)} DROP CONSTRAINT IF EXISTS {name}",
        ),
        tables=(table,),
        lock=Lock.ACCESS_EXCLUSIVE,
        limits=QUICK,
        done=f"SELECT ({is_set}) AND NOT ({check})",
    )
    first = _constraint(table, name, f"CHECK ({column} IS NOT NULL)", or_when=is_set)
    return first, _validated(table, name), last


def drop_constraint(table: str, name: str) -> Step:
    """Return the step that drops a constraint."""
    return Step(
        title=f"constraint {name} dropped",
        statements=(f"ALTER TABLE {_ours(table)} DROP CONSTRAINT {name}",),
        tables=(table,),
        lock=Lock.ACCESS_EXCLUSIVE,
        limits=QUICK,
        done=_not(_CONSTRAINT.format(table=_ours(table), name=name, more="")),
    )


def create_function(name: str, text: str) -> Step:
    """Return the step that makes a function, of the text in its file below `alembic/versions/sql`.

    What is called meanwhile goes on with the text that it began with. A released function is never changed: the next
    one is `_v2`.
    """
    return Step(
        title=f"function {name}",
        statements=(
            text.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1),
            f"REVOKE EXECUTE ON FUNCTION {_ours(name)} FROM PUBLIC",
        ),
        lock=Lock.NONE,
        limits=QUICK,
    )


def drop_function(name: str) -> Step:
    """Return the step that drops a function that no process calls any longer."""
    return Step(
        title=f"function {name} dropped",
        statements=(f"DROP FUNCTION IF EXISTS {_ours(name)}",),
        lock=Lock.NONE,
        limits=QUICK,
    )


def _constraint(
    table: str, name: str, rule: str, *referred: str, lock: Lock = Lock.ACCESS_EXCLUSIVE, or_when: str = "SELECT false"
) -> Step:
    there = _CONSTRAINT.format(table=_ours(table), name=name, more="")
    return Step(
        title=f"constraint {name} for new rows",
        statements=(f"ALTER TABLE {_ours(table)} ADD CONSTRAINT {name} {rule} NOT VALID",),
        tables=(table, *referred),
        lock=lock,
        limits=QUICK,
        done=f"SELECT ({there}) OR ({or_when})",
    )


def _validated(table: str, name: str) -> Step:
    return Step(
        title=f"constraint {name} validated",
        statements=(f"ALTER TABLE {_ours(table)} VALIDATE CONSTRAINT {name}",),
        tables=(table,),
        lock=Lock.SHARE_UPDATE_EXCLUSIVE,
        limits=LONG,
        done=_not(_CONSTRAINT.format(table=_ours(table), name=name, more=" AND NOT convalidated")),
        scans=1,
    )


def _ours(name: str) -> str:
    return f"{SCHEMA}.{name}"


def _not(query: str) -> str:
    return f"SELECT NOT ({query})"
