"""What a revision runs: its own text, in files beside it, which nothing else of the package may change.

`alembic/render_sql.py` writes those files from the tables and the `sql/` folders while their revision is unreleased.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import TextClause, text

from livingworld.postgres.distribution.cluster import is_distributed
from livingworld.postgres.metadata import SCHEMA

#: The file of a revision that makes its tables; every other file there is one function.
TABLES: Final = "tables.sql"
#: What ends a statement of that file. A function is a file of its own, because its body has such ends too.
_END: Final = ";\n"
#: A function that is created may be called by every role of the server; `livingworld db roles` says who may.
NOT_BY_EVERYBODY: Final = f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC"
#: A foreign key in the list of a table's columns and constraints.
_FOREIGN_KEY: Final = re.compile(r",\s*CONSTRAINT \w+ FOREIGN KEY\(.*?(?=,?$)", re.MULTILINE)
_CREATED: Final = re.compile(rf"^CREATE TABLE {SCHEMA}\.(\w+)", re.MULTILINE)


def install(revision: Path) -> None:
    """Run the text of a revision, given by its Python file: its tables, then its functions.

    Where tables are distributed, the new ones get their foreign keys when they are distributed too: Citus takes none
    from a local table to a distributed one.
    """
    is_apart = not op.get_context().as_sql and is_distributed(op.get_bind())
    for statement in _statements(revision, with_foreign_keys=not is_apart):
        op.execute(statement)
    op.execute(NOT_BY_EVERYBODY)


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


def _statements(revision: Path, *, with_foreign_keys: bool = True) -> Iterator[TextClause]:
    """Yield one statement for each execute: a driver that prepares statements takes no two, and Citus none."""
    folder = _folder(revision)
    for statement in (folder / TABLES).read_text().split(_END):
        if statement.strip():
            yield _verbatim(statement.strip() if with_foreign_keys else without_foreign_keys(statement.strip()))
    for function in in_order(path.read_text() for path in sorted(folder.glob("*_v*.sql"))):
        yield _verbatim(function)


def without_foreign_keys(statement: str) -> str:
    """Return the statement that creates a table as one without its foreign keys; any other one as it is."""
    return _FOREIGN_KEY.sub("", statement) if _CREATED.match(statement) else statement


def _folder(revision: Path) -> Path:
    return revision.parent / "sql" / revision.name.partition("_")[0]


def _verbatim(statement: str) -> TextClause:
    return text(statement.replace(":", "\\:"))
