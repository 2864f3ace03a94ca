"""Which room's statements name tables and functions of which other room, read by PostgreSQL's own parser.

A room is a folder of the package (`story/turns`), or what stands beside the folders of its wing (`story/revisions.py`).
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import pglast
from pglast import ast as sql
from sqlalchemy import Table

import livingworld
from livingworld.postgres.metadata import SCHEMA, VERSION_TABLE
from tests.support.distribution_rules import statements_of_function, walk

PACKAGE: Final = Path(livingworld.__file__).parent
#: A name that is put together when the statement runs.
COMPUTED: Final = "computed"
#: The tenant: every table refers to it, because one world is one shard.
TENANT: Final = "worlds"
_WINGS: Final = ("story", "coordination", "models")
_DECLARED: Final = re.compile(r'^\w+ = Table\(\s*"(\w+)"|CREATE OR REPLACE FUNCTION livingworld\.(\w+)', re.MULTILINE)
_NAMES_OURS: Final = re.compile(rf"\b{SCHEMA}\.\w")
_STATEMENT: Final = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|JOIN|LOCK|CREATE|ALTER|DROP)\b")


@dataclass(frozen=True, slots=True)
class Use:
    """A table or function that a file names."""

    file: str
    name: str

    @property
    def room(self) -> str:
        """The room of the file."""
        return room_of(self.file)


def room_of(file: str) -> str:
    """Return the room of a file of the package."""
    parts = file.split("/")
    return "/".join(parts[: 2 if parts[0] in _WINGS else 1]).removesuffix(".py")


@cache
def owners() -> dict[str, str]:
    """Return the room of each table and function."""
    found = {VERSION_TABLE: "postgres"}
    for path in sorted(PACKAGE.rglob("*.py")):
        file = _name(path)
        found |= {table or function: room_of(file) for table, function in _DECLARED.findall(path.read_text())}
    found |= {path.stem: room_of(_name(path)) for path in PACKAGE.rglob("sql/*_v[0-9].sql")}
    return found


@cache
def all_uses() -> frozenset[Use]:
    """Return what the files of the package name: in SQL, in text, in expressions, and in foreign keys."""
    in_sql = {
        Use(_name(path), name)
        for path in PACKAGE.rglob("*.sql")
        for statement in _statements_of_file(path)
        for name in names(statement)
    }
    modules = set(PACKAGE.rglob("*.py")) - {PACKAGE / "schema.py"}
    return frozenset(in_sql | {Use(_name(path), name) for path in modules for name in _names_in_module(path)})


def names(statement: str) -> set[str]:
    """Return the tables and functions of ours that a statement names; ParseError for what is none."""
    found: set[str] = set()
    for raw in pglast.parse_sql(statement):
        for node in walk(raw.stmt):
            if isinstance(node, sql.RangeVar) and node.schemaname == SCHEMA:
                found.add(str(node.relname))
            elif isinstance(node, sql.FuncCall | sql.TypeName):
                named = node.funcname if isinstance(node, sql.FuncCall) else node.names
                parts = [str(part.sval) for part in named or ()]
                found |= {parts[1]} if parts[0] == SCHEMA else set()
    return found


def complaint(use: Use) -> str | None:
    """Return what is wrong with a use: a name that no room owns, or an arrow that does not point down."""
    if use.name == COMPUTED:
        return None if use.room == "postgres" else f"{use.file} puts a name together"
    owner = owners().get(use.name)
    if owner is None:
        return f"{use.file}: no room owns {use.name}"
    return None if may_use(use.room, owner) else f"{use.file}: {use.room} -> {owner} ({use.name})"


def may_use(room: str, other: str) -> bool:
    """Return whether a statement of one room may name what another one owns: the layers of the imports say so."""
    if room == other:
        return True
    (wing, _, inside), (other_wing, _, other_inside) = room.partition("/"), other.partition("/")
    if wing != other_wing:
        return _depth("livingworld", wing) < _depth("livingworld", other_wing)
    layers = f"livingworld.{wing}"
    return layers in _layers() and _depth(layers, inside) < _depth(layers, other_inside)


def _depth(container: str, room: str) -> int:
    return next(depth for depth, layer in enumerate(_layers()[container]) if room in layer)


@cache
def _layers() -> dict[str, list[set[str]]]:
    """Return the layers of each container from above, as import-linter has them; rooms of one line are strangers."""
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {
        container: [set(layer.split(" | ")) for layer in contract["layers"]]
        for contract in contracts
        if contract["type"] == "layers"
        for container in contract["containers"]
    }


def _statements_of_file(path: Path) -> list[str]:
    text = path.read_text()
    if path.stem in owners():
        header = re.sub(r"--.*", "", text.partition("AS $function$")[0])
        returned = re.findall(rf"RETURNS SETOF ({SCHEMA}\.\w+)", header)
        return [*statements_of_function(text), *(f"SELECT FROM {row}" for row in returned)]
    return [re.sub(r"(?<![:\w]):(\w+)", "$1", text)]


def _names_in_module(path: Path) -> Iterator[str]:
    module = import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"))
    for name, value in vars(module).items():
        if isinstance(value, Table):
            yield value.name
            if _declares(path, value):
                yield from _referred_by(value)
        elif isinstance(value, str) and not name.startswith("__"):
            yield from _names_in_text(value)
    for statement in ast.parse(path.read_text()).body:
        if not (
            isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.JoinedStr)
        ):  # its value was read
            for node in _walk(statement):
                yield from _names_in_node(node)


def _declares(path: Path, table: Table) -> bool:
    return any(table.name in found for found in _DECLARED.findall(path.read_text()))


def _referred_by(table: Table) -> set[str]:
    return {key.referred_table.name for key in table.foreign_key_constraints} - {TENANT}


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a module but docstrings, and the pieces of a text that is read as a whole."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    yield node
    for child in [] if isinstance(node, ast.JoinedStr) else ast.iter_child_nodes(node):
        yield from _walk(child)


def _names_in_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _names_in_text(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield from _names_in_text("".join(_part(part) for part in node.values))
    elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == f"func.{SCHEMA}":
        yield node.attr
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "metadata.tables":
        yield f"metadata.tables[{ast.unparse(node.slice)}]"


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    return SCHEMA if ast.unparse(part) == "{SCHEMA}" else COMPUTED


def _names_in_text(text: str) -> set[str]:
    """Return what a text names when it is a statement, or the part of one that follows FROM."""
    if not _NAMES_OURS.search(text):
        return set()
    text = re.sub(r"(?<![:\w]):(\w+)", "$1", text)
    for statement in (text, f"{text} SELECT", f"SELECT {text}", f"SELECT FROM {text}"):
        try:
            return names(statement)
        except pglast.parser.ParseError:
            continue
    assert not _STATEMENT.search(text), f"cannot be read: {text}"
    return set()  # a path or a sentence


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()
