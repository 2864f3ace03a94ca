"""What alembic found between a database and the tables of this release, in words: one line for each difference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

_KINDS = {
    "table": "table",
    "column": "column",
    "index": "index",
    "constraint": "constraint",
    "fk": "foreign key",
    "table_comment": "comment of table",
}
_ASPECTS = {"nullable": "may be NULL", "type": "type", "default": "default", "comment": "comment"}


def describe(differences: Iterable[Any]) -> list[str]:
    """Return a line for each difference; alembic groups those of one column in a list."""
    lines: list[str] = []
    for difference in differences:
        lines += describe(difference) if isinstance(difference, list) else [_line(*difference)]
    return lines


def _line(operation: str, *parts: Any) -> str:  # noqa: ANN401 - parts of a difference, by operation
    verb, _, kind = operation.partition("_")
    if verb == "modify":
        schema, table, column, _, there, ours = parts
        change = f"is {_value(there)}, in this release {_value(ours)}"
        return f"column {schema}.{table}.{column}: {_ASPECTS.get(kind, kind)} {change}"
    found = "is missing" if verb == "add" else "is not of this release"
    return f"{_KINDS.get(kind, kind)} {_name(kind, parts)} {found}"


def _name(kind: str, parts: tuple[Any, ...]) -> str:
    if kind == "column":
        schema, table, column = parts
        return f"{schema}.{table}.{column.name}"
    (thing, *_) = parts
    if kind == "table":
        return str(thing.fullname)
    return f"{thing.name} of {thing.table.fullname}"


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, TypeEngine):
        return str(value.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy's
    expression = getattr(value, "arg", value)  # a default clause
    return str(getattr(expression, "text", expression))
