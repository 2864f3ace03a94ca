"""The reference of the tables: their columns and constraints as PostgreSQL reads them."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from livingworld.schema import metadata


def table_reference() -> str:
    """Return a section for each table."""
    return "\n\n".join(_section(table) for table in sorted(metadata.tables.values(), key=lambda each: each.name))


def _section(table: Table) -> str:
    indexes = sorted(table.indexes, key=lambda each: str(each.name))
    statements = [_statement(CreateTable(table)), *(_statement(CreateIndex(each)) for each in indexes)]
    return f"## {table.name}\n\n```sql\n" + "\n".join(f"{each};" for each in statements) + "\n```"


def _statement(element: ExecutableDDLElement) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    lines = [line.strip() for line in str(element.compile(dialect=dialect)).splitlines() if line.strip()]
    return "\n".join(line if line.startswith(("CREATE", ")")) else f"    {line}" for line in lines)
