"""What a revision runs: its own text, in files beside it, which nothing else of the package may change.

`alembic/render_sql.py` writes those files from the tables and the `sql/` folders while their revision is unreleased.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from alembic import op

from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.upgrades.step import QUICK, Lock, Step

#: The file of a revision that makes its tables; every other file there is one function.
TABLES: Final = "tables.sql"
#: What ends a statement of that file. A function is a file of its own, because its body has such ends too.
_END: Final = ";\n"
#: A function that is created may be called by every role of the server; `livingworld db roles` says who may.
NOT_BY_EVERYBODY: Final = f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC"
#: A foreign key in the list of a table's columns and constraints.
_FOREIGN_KEY: Final = re.compile(r",\s*CONSTRAINT \w+ FOREIGN KEY\(.*?(?=,?$)", re.MULTILINE)
_REFERRED: Final = re.compile(rf"REFERENCES {SCHEMA}\.(\w+)")
_CREATED: Final = re.compile(rf"^CREATE TABLE {SCHEMA}\.(\w+)", re.MULTILINE)


def install(revision: Path) -> tuple[Step, ...]:
    """Return the step that runs the text of a revision, given by its Python file: its tables, then its functions.

    It is one transaction with the revision's number. While it makes foreign keys, writers of the tables that they
    refer to wait; those of its own nobody knows yet. Where tables are distributed, the new ones get their foreign keys
    when they are distributed too: Citus takes none from a local table to a distributed one.
    """
    tables = (_folder(revision) / TABLES).read_text()
    statements = (*_statements(revision), NOT_BY_EVERYBODY)
    return (
        Step(
            title=f"tables and functions of {revision.stem}",
            statements=statements,
            where_distributed=tuple(map(without_foreign_keys, statements)),
            tables=tuple(sorted(set(_REFERRED.findall(tables)) - set(_CREATED.findall(tables)))),
            lock=Lock.SHARE_ROW_EXCLUSIVE,
            limits=QUICK,
        ),
    )


def remove(revision: Path) -> None:
    """Drop the functions and the tables of a revision."""
    folder = _folder(revision)
    functions = [f"{SCHEMA}.{path.stem}" for path in sorted(folder.glob("*_v*.sql"))]
    if functions:
        op.execute(f"DROP FUNCTION {', '.join(functions)}")
    tables = _CREATED.findall((folder / TABLES).read_text())
    # Together, because some refer to each other.
    op.execute(f"DROP TABLE {', '.join(f'{SCHEMA}.{table}' for table in tables)}")


def in_order(functions: Iterable[str]) -> list[str]:
    """Return functions in an order in which they can be created.

    PL/pgSQL looks up what it calls when it runs, SQL when the function is created.
    """
    return sorted(functions, key=lambda function: "\nLANGUAGE sql\n" in function)


def _statements(revision: Path) -> Iterator[str]:
    """Yield one statement for each execute: a driver that prepares statements takes no two, and Citus none."""
    folder = _folder(revision)
    for statement in (folder / TABLES).read_text().split(_END):
        if statement.strip():
            yield statement.strip()
    yield from in_order(path.read_text() for path in sorted(folder.glob("*_v*.sql")))


def without_foreign_keys(statement: str) -> str:
    """Return the statement that creates a table as one without its foreign keys; any other one as it is."""
    return _FOREIGN_KEY.sub("", statement) if _CREATED.match(statement) else statement


def _folder(revision: Path) -> Path:
    return revision.parent / "sql" / revision.name.partition("_")[0]
