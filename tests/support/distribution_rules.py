"""What Citus demands of a statement, read off PostgreSQL's own parse tree (section 8 of the plan)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pglast
from pglast import ast

from livingworld.schema import metadata

_TABLES = {table.name for table in metadata.tables.values()}
_VOLATILE = {"clock_timestamp", "random", "gen_random_uuid", "nextval", "uuidv7", "timeofday", "setseed"}
_LEVELS = (ast.SelectStmt, ast.UpdateStmt, ast.DeleteStmt)


def broken_rules(sql: str) -> list[str]:
    """Return what of a statement would not run, or not stay on one shard, where tables are distributed by world_id."""
    broken = []
    for raw in pglast.parse_sql(sql):
        for node in walk(raw.stmt):
            if isinstance(node, ast.MergeStmt | ast.CreateTrigStmt):
                broken.append(f"{type(node).__name__} is not supported")
            if isinstance(node, ast.UpdateStmt | ast.OnConflictClause):
                broken += [f"{name}() in {type(node).__name__}" for name in _functions(node) if name in _VOLATILE]
            if isinstance(node, _LEVELS):
                broken += [f"{table} without its world_id" for table in _unbound_tables(node)]
    return broken


def statements_of_function(sql: str) -> list[str]:
    """Return the SQL inside a function; an expression of PL/pgSQL comes as the SELECT that it is run as."""
    if "\nLANGUAGE sql\n" in sql:
        return [sql.split("$function$")[1]]
    readable = re.sub(r"RETURNS SETOF livingworld\.\w+", "RETURNS SETOF record", sql)  # the parser knows no row of ours
    parsed = json.loads(json.dumps(pglast.parse_plpgsql(readable)))
    found = [query for query in _queries(parsed) if "livingworld." in query]
    return [_as_statement(query) for query in found]


def _queries(tree: Any) -> Iterator[str]:  # noqa: ANN401 - parsed JSON
    if isinstance(tree, dict):
        if isinstance(query := tree.get("query"), str):
            yield query
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _queries(branch)


def _as_statement(query: str) -> str:
    try:
        pglast.parse_sql(query)
    except pglast.parser.ParseError:
        return "SELECT " + (query.partition(":=")[2] or query)
    return query


def _unbound_tables(level: Any) -> list[str]:  # noqa: ANN401 - a node
    """Return the tables of one query level that no equation of this level ties to a world."""
    here: list[Any] = list(_of_this_level(level))
    ranges: list[Any] = [node for node in here if isinstance(node, ast.RangeVar) and node.schemaname == "livingworld"]
    tables: dict[str, str] = {
        node.alias.aliasname if node.alias else node.relname: node.relname for node in ranges if node.relname in _TABLES
    }
    equations: list[Any] = [node for node in here if isinstance(node, ast.A_Expr)]
    tied: set[str] = set()
    for equation in equations:
        if equation.name[0].sval == "=":
            tied |= _named_worlds(equation.lexpr, tables) | _named_worlds(equation.rexpr, tables)
    return [table for alias, table in tables.items() if alias not in tied]


def _named_worlds(side: Any, tables: dict[str, str]) -> set[str]:  # noqa: ANN401 - a node
    if not isinstance(side, ast.ColumnRef):
        return set()
    names = [str(part.sval) for part in side.fields or () if isinstance(part, ast.String)]
    if names[-1:] != ["world_id"]:
        return set()
    return {names[-2]} if len(names) > 1 else (set(tables) if len(tables) == 1 else set())


def _of_this_level(level: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield the nodes of a query without those of the queries inside it."""
    for child in _children(level):
        if not isinstance(child, (*_LEVELS, ast.InsertStmt)):
            yield child
            yield from _of_this_level(child)


def walk(node: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield a node of a parse tree and all below it."""
    yield node
    for child in _children(node):
        yield from walk(child)


def _children(node: Any) -> Iterator[Any]:  # noqa: ANN401
    if isinstance(node, tuple | list):
        values: Any = node
    elif isinstance(node, ast.Node):
        values = [getattr(node, name) for name in type(node).__slots__]  # type: ignore[attr-defined]  # every node has
    else:
        return
    for value in values:
        if isinstance(value, ast.Node):
            yield value
        elif isinstance(value, tuple | list):
            yield from _children(value)


def _functions(node: Any) -> list[str]:  # noqa: ANN401
    calls: list[Any] = [call for call in walk(node) if isinstance(call, ast.FuncCall)]
    return [call.funcname[-1].sval for call in calls]
