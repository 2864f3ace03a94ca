"""Statements that are put together by SQLAlchemy and called often: compiled once, and then text as any other."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, cast

from sqlalchemy import ClauseElement, Table, bindparam, select
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's


class CompiledText:
    """The text of a statement, for Transaction.execute_text; make it once, since compiling costs more than running.

    Its parameters are `bindparam`s. Their values are the driver's own: JSON is given as text.
    """

    def __init__(self, statement: ClauseElement) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=_DIALECT))
        self._sql = str(compiled)
        self._parameters = [(name, compiled.params[name]) for name in compiled.positiontup or ()]

    def bind(self, **values: object) -> tuple[str, tuple[Any, ...]]:
        """Return the text and its parameters in order."""
        return self._sql, tuple([values.get(name, constant) for name, constant in self._parameters])


@cache
def select_row(table: Table) -> CompiledText:
    """Return the statement that reads a row by its primary key, whose columns are the parameters."""
    return CompiledText(select(table).where(*(column == bindparam(column.name) for column in table.primary_key)))
