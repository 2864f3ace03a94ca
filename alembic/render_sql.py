"""Write the SQL that the unreleased revisions run, from the tables and from the functions in the rooms' `sql/` folders.

`make migrations` runs it; a test says when that was forgotten. From the first tag on a released folder is never written
again: the next revision gets the statements that change the tables, and the functions that changed, as `_v2`.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, create_mock_engine
from sqlalchemy.sql.ddl import ExecutableDDLElement

import livingworld
from livingworld.postgres.migration_text import TABLES
from livingworld.schema import metadata

PACKAGE: Final = Path(livingworld.__file__).parent
FOLDER: Final = Path(__file__).parent / "versions" / "sql"
#: Which revision has what of which folder: the first that fits. Each uses only what came before it.
REVISIONS: Final = {
    "postgres/": "0001",
    "story/worlds/": "0001",
    "live/": "0002",
    "models/": "0003",
    "coordination/": "0004",
    "story/": "0005",
}
#: How every PL/pgSQL function runs: names mean ours, one plan serves the life of a connection (planning takes longer),
#: and each row is looked up by its key, because that plan may have been made when the tables were small.
SETTINGS: Final = """\
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_material = off
"""
_INLINED: Final = "\nLANGUAGE sql\nSTABLE\nAS $function$\n"
#: Its text is read when it is created, so that no search_path decides later what a name means.
_READ_AT_ONCE: Final = "\nLANGUAGE sql\nSTABLE\nBEGIN ATOMIC\n"
_BODY: Final = re.compile(r"^AS \$function\$$", re.MULTILINE)


def rendered_files() -> dict[str, str]:
    """Return the text of every file of the unreleased revisions, by its path below `versions/sql`."""
    files = {f"{revision_of(path)}/{path.name}": render_function(path.read_text()) for path in function_sources()}
    for revision in sorted(set(REVISIONS.values())):
        files[f"{revision}/{TABLES}"] = render_tables(revision)
    return files


def function_sources() -> list[Path]:
    """Return the files of all functions, in the rooms that own them."""
    return sorted(PACKAGE.glob("**/sql/*_v[0-9]*.sql"))


def render_function(source: str) -> str:
    """Return a function with the settings that every one has; one of a single SELECT becomes a part of its caller."""
    if _INLINED in source:
        return source.replace(_INLINED, _READ_AT_ONCE).replace("\n$function$\n", ";\nEND\n")
    rendered, found = _BODY.subn(lambda match: SETTINGS + match.group(), source)
    if found != 1:
        raise ValueError(f"a function has one line `AS $function$`: {source[:100]}")
    return rendered


def render_tables(revision: str) -> str:
    """Return the statements that make the tables of one revision, in an order in which each finds what it refers to."""
    statements: list[str] = []

    def write(element: ExecutableDDLElement, *_: Any, **__: Any) -> None:  # noqa: ANN401 - SQLAlchemy's callback
        lines = str(element.compile(dialect=engine.dialect)).strip().replace("\t", "    ").splitlines()
        statements.append("\n".join(line.rstrip() for line in lines))

    engine = create_mock_engine("postgresql+asyncpg://", write)
    tables = [table for table, owner in table_owners().items() if revision_of(owner) == revision]
    metadata.create_all(engine, tables=tables, checkfirst=False)
    return "".join(f"{statement};\n\n" for statement in _with_indexes_in_order(statements))


def _with_indexes_in_order(statements: list[str]) -> list[str]:
    """Sort the indexes of each table, which SQLAlchemy keeps in a set."""
    runs = groupby(statements, key=lambda statement: re.match(r"CREATE (UNIQUE )?INDEX", statement) is not None)
    return [statement for are_indexes, run in runs for statement in (sorted(run) if are_indexes else run)]


def table_owners() -> dict[Table, Path]:
    """Return every table with the file that declares it."""
    declared = re.compile(r'^\w+ = Table\(\s*"(\w+)"', re.MULTILINE)
    return {
        metadata.tables[f"{metadata.schema}.{name}"]: path
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in declared.findall(path.read_text())
    }


def revision_of(path: Path) -> str:
    """Return the revision that has what a file of the package declares."""
    inside = path.relative_to(PACKAGE).as_posix()
    return next(revision for folder, revision in REVISIONS.items() if inside.startswith(folder))


def main() -> None:
    """Write every file that differs, remove those that have no source any more, and name them."""
    wanted = rendered_files()
    for path in sorted(FOLDER.glob("*/*.sql")):
        if (name := path.relative_to(FOLDER).as_posix()) not in wanted:
            path.unlink()
            sys.stdout.write(f"removed {name}\n")
    for name, text in wanted.items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"wrote {name}\n")


if __name__ == "__main__":
    main()
