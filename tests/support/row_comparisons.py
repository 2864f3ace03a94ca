"""Which row comparisons of a statement do not bound what it reads, off PostgreSQL's own parse tree.

Before PostgreSQL 18 `(a, b, c) <= (1, 2, 3)` ends the scan of an index where `a` is over, not where the row is; where
`a` stands still for a whole world, all that comes later is read. So a row comparison may say where a scan begins, in
the order in which the rows are wanted, and a LIMIT says where it ends. What is bounded from both sides is compared for
equality in all columns but the last.
"""

from __future__ import annotations

from typing import Any

import pglast
from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, SortByDir

from tests.support.distribution_rules import walk

_FORWARD = {">", ">="}
_BACKWARD = {"<", "<="}


def unbounded_comparisons(sql: str) -> list[str]:
    """Return the row comparisons of a statement that no order and LIMIT bound."""
    found: list[str] = []
    for raw in pglast.parse_sql(sql):
        bounded: set[int] = set()
        for node in walk(raw.stmt):
            if isinstance(node, ast.SelectStmt):
                bounded |= {id(each) for each in _bounded(node)}
        found += [_shown(node) for node in walk(raw.stmt) if _is_comparison(node) and id(node) not in bounded]
    return found


def _bounded(level: Any) -> list[Any]:  # noqa: ANN401 - a node
    """Return the comparisons of a query that say where its scan begins, and those that only guard its end."""
    if level.limitCount is None or level.whereClause is None:
        return []
    order = _order(level)
    here = [node for node in _conjunction(level.whereClause) if _is_comparison(node)]
    begins = [node for node in here if _begins(node, order)]
    guarded = {_columns(node.lexpr) for node in begins}
    return [node for node in here if _columns(node.lexpr) in guarded]


def _begins(node: Any, order: list[tuple[str, bool]]) -> bool:  # noqa: ANN401 - a node
    columns = _columns(node.lexpr)
    wanted = [(column, _operator(node) in _BACKWARD) for column in columns]
    return order[: len(wanted)] == wanted


def _order(level: Any) -> list[tuple[str, bool]]:  # noqa: ANN401 - a node
    """Return the columns a query is ordered by, each with whether it descends."""
    return [(_name(each.node), each.sortby_dir == SortByDir.SORTBY_DESC) for each in level.sortClause or ()]


def _conjunction(condition: Any) -> list[Any]:  # noqa: ANN401 - a node
    """Return what must all be true."""
    if isinstance(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
        return [part for each in condition.args or () for part in _conjunction(each)]
    return [condition]


def _is_comparison(node: Any) -> bool:  # noqa: ANN401 - a node
    return (
        isinstance(node, ast.A_Expr)
        and node.kind == A_Expr_Kind.AEXPR_OP
        and _operator(node) in _FORWARD | _BACKWARD
        and any(isinstance(side, ast.RowExpr) for side in (node.lexpr, node.rexpr))
    )


def _operator(comparison: Any) -> str:  # noqa: ANN401 - a node
    return str(comparison.name[0].sval)


def _columns(row: Any) -> tuple[str, ...]:  # noqa: ANN401 - a node
    return tuple(_name(each) for each in row.args or ()) if isinstance(row, ast.RowExpr) else ()


def _name(column: Any) -> str:  # noqa: ANN401 - a node
    if not isinstance(column, ast.ColumnRef):
        return "?"
    *_, last = column.fields or ()
    return str(last.sval)


def _shown(node: Any) -> str:  # noqa: ANN401 - a node
    return f"{_columns(node.lexpr)} {_operator(node)} a row"
