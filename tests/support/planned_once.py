"""Which statements Citus plans once in a session: those of one table by its world, without a query inside.

Any other is planned at each call, which costs more than to run it.
"""

from __future__ import annotations

from typing import Any, Final

import pglast
from pglast import ast

from tests.support.distribution_rules import walk

_INSIDE: Final = (ast.SubLink, ast.RangeSubselect, ast.CommonTableExpr, ast.RangeFunction)


def planned_at_each_call(sql: str) -> list[str]:
    """Return what of a statement has Citus plan it again at each call."""
    found: list[str] = []
    for raw in pglast.parse_sql(sql):
        nodes: list[Any] = list(walk(raw.stmt))
        tables = [str(node.relname) for node in nodes if isinstance(node, ast.RangeVar)]
        if not tables:
            continue
        found += [f"a {type(node).__name__}" for node in nodes if isinstance(node, _INSIDE)]
        if len(tables) > 1:
            found.append(f"the tables {', '.join(tables)}")
        source: Any = raw.stmt.selectStmt if isinstance(raw.stmt, ast.InsertStmt) else None
        found += ["an INSERT of a SELECT"] if source is not None and source.valuesLists is None else []
        found += ["UNION"] if any(isinstance(node, ast.SelectStmt) and node.larg for node in nodes) else []
    return found
