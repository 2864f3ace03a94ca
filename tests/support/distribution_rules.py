"""What Citus demands of a statement, read off PostgreSQL's own parse tree.

Each rule is something that Citus 13.2 refused, or crashed on: docs/decisions/2026-11-22-a-distributed-database.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pglast
from pglast import ast
from sqlalchemy import DateTime, Interval

from livingworld.schema import metadata

_TABLES = {table.name for table in metadata.tables.values()}
#: What is stored on every node, so that no world has to be named.
_EVERYWHERE = {"worlds"}
_VOLATILE = {"clock_timestamp", "random", "gen_random_uuid", "nextval", "uuidv7", "timeofday", "setseed"}
#: What a write may call with a column: a function that is not here may read a setting or the clock, as now() does.
_IMMUTABLE = {
    "array_append",
    "array_fill",
    "array_length",
    "array_position",
    "array_remove",
    "cardinality",
    "char_length",
    "jsonb_set",
}
_IMMUTABLE |= {"make_interval"}
_IMMUTABLE |= {"jsonb_typeof", "lower", "octet_length", "sha256", "any", "unnest"}
_TIMES, _INTERVALS = (
    {column.name for table in metadata.tables.values() for column in table.columns if isinstance(column.type, kind)}
    for kind in (DateTime, Interval)
)
_CLOCKS = {"now", "statement_timestamp", "transaction_timestamp", "clock_timestamp"}
_LEVELS = (ast.SelectStmt, ast.UpdateStmt, ast.DeleteStmt)
_WRITES = (ast.UpdateStmt, ast.DeleteStmt)


def broken_rules(sql: str) -> list[str]:
    """Return what of a statement would not run, or not stay on one shard, where tables are distributed by world_id."""
    broken = []
    for raw in pglast.parse_sql(sql):
        for node in walk(raw.stmt):
            if isinstance(node, ast.MergeStmt | ast.CreateTrigStmt):
                broken.append(f"{type(node).__name__} is not supported")
            if isinstance(node, ast.InsertStmt) and node.withClause is not None and node.withClause.recursive:
                broken.append("a recursion before an INSERT is lost: it belongs within the SELECT")
            if isinstance(node, ast.UpdateStmt | ast.OnConflictClause):
                broken += [f"{name}() in {type(node).__name__}" for name in _functions(node) if name in _VOLATILE]
            if isinstance(node, ast.OnConflictClause):
                broken += [f"{name} in ON CONFLICT is not immutable" for name in _unstable(node)]
            if isinstance(node, _WRITES):
                broken += _broken_in_write(node)
            if isinstance(node, ast.SelectStmt):
                broken += _locks_of_one_node(node)
            if isinstance(node, _LEVELS):
                broken += [f"{table} without its world_id" for table in _unbound_tables(node)]
    return broken


def _locks_of_one_node(select: Any) -> list[str]:  # noqa: ANN401 - a node
    """Return the locks of a query that would be taken on the asked node, and not where the world is."""
    broken = []
    if "advisory" in str(_functions(select.targetList)) and not _tables_below(select.fromClause):
        broken.append("an advisory lock of one node only")
    if select.lockingClause and set(_tables_below(select)) == _EVERYWHERE:
        broken.append("a lock of the row of a world of one node only")
    return broken


def _broken_in_write(write: Any) -> list[str]:  # noqa: ANN401 - a node
    """Return what of an UPDATE or DELETE cannot be worked out once, before it is sent to the shard."""
    broken = [f"{name} over a column in FROM of a write" for name in _pulled_up(write)]
    for node in _of_this_level(write):
        if isinstance(node, ast.A_Indices):
            broken.append("an element of an array in a write crashes Citus")
        if isinstance(node, ast.CaseExpr) and node.arg is not None:
            broken.append("a CASE of a value is worked out and sent as CASE of a truth")
        if isinstance(node, ast.CaseExpr | ast.CoalesceExpr):
            broken += [f"{name} in CASE or COALESCE is not immutable" for name in _unstable(node)]
        if isinstance(node, ast.FuncCall) and _unstable_here(node) and any(_columns(node, write)):
            broken.append(f"{_unstable_here(node)} over a column is not immutable")
        if isinstance(node, ast.A_Expr) and _unstable_here(node) and any(_columns(node, write)):
            broken.append(f"{_unstable_here(node)} over a column is not immutable")
    return broken


def _pulled_up(write: Any) -> list[str]:  # noqa: ANN401 - a node
    """Return what PostgreSQL takes out of sub-queries into the write, where Citus finds it."""
    queries: list[Any] = [
        each.subquery for each in getattr(write, "fromClause", None) or () if isinstance(each, ast.RangeSubselect)
    ]
    targets = [node for each in queries for node in walk(each.targetList or ())]
    here = [node for node in targets if isinstance(node, ast.A_Expr) and _unstable_here(node)]
    return [f"{_unstable_here(node)}" for node in here if any(isinstance(each, ast.ColumnRef) for each in walk(node))]


def _unstable(tree: Any) -> list[str]:  # noqa: ANN401 - a node
    """Return what in a tree depends on a setting or the clock."""
    return [name for node in walk(tree) if (name := _unstable_here(node))]


def _unstable_here(node: Any) -> str | None:  # noqa: ANN401
    if isinstance(node, ast.SQLValueFunction):
        return "the clock"
    if isinstance(node, ast.FuncCall):
        (name, *_) = _functions(node)
        return None if name in _IMMUTABLE | _VOLATILE else f"{name}()"
    if isinstance(node, ast.A_Expr) and str((node.name or (node,))[-1].sval) in {"+", "-"}:
        sides = (node.lexpr, node.rexpr)
        # A time and an interval are added by the days of the session's time zone; two times are only subtracted.
        return "a time and an interval" if any(map(_is_time, sides)) and any(map(_is_interval, sides)) else None
    return None


def _is_time(side: Any) -> bool:  # noqa: ANN401
    clock = isinstance(side, ast.FuncCall) and _functions(side)[0] in _CLOCKS
    return clock or isinstance(side, ast.SQLValueFunction) or _name(side) in _TIMES


def _is_interval(side: Any) -> bool:  # noqa: ANN401
    if isinstance(side, ast.A_Expr) and str((side.name or (side,))[-1].sval) == "*":
        return _is_interval(side.lexpr) or _is_interval(side.rexpr)
    return _name(side) in _INTERVALS or isinstance(side, ast.ParamRef | ast.TypeCast | ast.A_Const)


def _name(side: Any) -> str | None:  # noqa: ANN401 - a node
    """Return the name of a column or variable, without its table."""
    last = (side.fields or (None,))[-1] if isinstance(side, ast.ColumnRef) else None
    return str(last.sval) if isinstance(last, ast.String) else None


def _columns(tree: Any, write: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the columns of the written table in a tree: what else has a name is an argument or a variable."""
    table = write.relation
    columns = metadata.tables[f"livingworld.{table.relname}"].columns
    alias = table.alias.aliasname if table.alias else table.relname
    for node in walk(tree):
        if (name := _name(node)) is not None and name in columns:
            qualifier = [str(part.sval) for part in node.fields][-2:-1]
            if qualifier in ([], [alias]) and not (qualifier == [] and name.startswith("in_")):
                yield name


def tables_in_assignments(sql: str) -> list[str]:
    """Return the assignments of a PL/pgSQL function that read a table: Citus sends their text, with its `:=`."""
    parsed = json.loads(json.dumps(pglast.parse_plpgsql(_readable(sql))))
    found = [query for query in _queries(parsed) if ":=" in query.split("\n")[0]]
    return [query for query in found if re.search(r"\b(FROM|JOIN) livingworld\.\w+(?!\w*\()", query)]


def statements_of_function(sql: str) -> list[str]:
    """Return the SQL inside a function; an expression of PL/pgSQL comes as the SELECT that it is run as."""
    if "\nLANGUAGE sql\n" in sql:
        return [sql.split("$function$")[1]]
    parsed = json.loads(json.dumps(pglast.parse_plpgsql(_readable(sql))))
    found = [query for query in _queries(parsed) if "livingworld." in query or "advisory" in query]
    return [_as_statement(query) for query in found]


def _readable(sql: str) -> str:
    return re.sub(r"RETURNS SETOF livingworld\.\w+", "RETURNS SETOF record", sql)  # the parser knows no row of ours


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
    """Return the tables of one query level that no equation of this level ties to a given world.

    That of another table is not enough: in an outer join or a sub-select Citus does not follow it to the shard.
    """
    here: list[Any] = list(_of_this_level(level))
    ranges: list[Any] = [node for node in here if isinstance(node, ast.RangeVar) and node.schemaname == "livingworld"]
    tables: dict[str, str] = {
        node.alias.aliasname if node.alias else node.relname: node.relname
        for node in ranges
        if node.relname in _TABLES - _EVERYWHERE
    }
    equations: list[Any] = [node for node in here if isinstance(node, ast.A_Expr)]
    tied: set[str] = set()
    for equation in equations:
        if equation.name[0].sval == "=" and (_is_given(equation.lexpr) or _is_given(equation.rexpr)):
            tied |= _named_worlds(equation.lexpr, tables) | _named_worlds(equation.rexpr, tables)
    return [table for alias, table in tables.items() if alias not in tied]


def _is_given(side: Any) -> bool:  # noqa: ANN401 - a node
    """Return whether one side of an equation is a parameter, a constant, or an argument of the function."""
    if isinstance(side, ast.TypeCast):
        return _is_given(side.arg)
    return isinstance(side, ast.ParamRef | ast.A_Const) or _name(side) == "in_world_id"


def _tables_below(node: Any) -> list[str]:  # noqa: ANN401 - a node
    ranges: list[Any] = [each for each in walk(node) if isinstance(each, ast.RangeVar)]
    return [str(each.relname) for each in ranges if each.schemaname == "livingworld"]


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
