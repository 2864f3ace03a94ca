"""Names in annotations: where each comes from, and what the blocking API has in its place."""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, Final, TypeVar

from livingworld.app.transaction_scope import TransactionScope

#: What waits, and what the blocking API has instead.
BLOCKING: Final = {
    "AsyncIterator": ("collections.abc", "Iterator"),
    "AbstractAsyncContextManager": ("contextlib", "AbstractContextManager"),
}
#: What every transaction gives is the scope of this package.
SCOPE: Final = "Scope"
#: These stay asynchronous: an application hands them to the loop, or SQLAlchemy owns them.
STAYS: Final = {
    *("Embedder", "EmbedderDispatcher", "OpenAICompatibleEmbedder", "SentenceTransformersEmbedder", "Transaction"),
}


@dataclass
class Needs:
    """What a generated module imports, by module, and the classes whose blocking twins it names."""

    imports: dict[str, set[str]] = field(default_factory=dict)
    runtime: dict[str, set[str]] = field(default_factory=dict)
    twins: set[type[Any]] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)

    def add(self, module: str, name: str) -> None:
        """Import a name for annotations."""
        self.imports.setdefault(module, set()).add(name)


@cache
def imported(module: str) -> dict[str, tuple[str, str]]:
    """Return where the names come from that a module imports."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: (node.module, each.name) for each in node.names}
    return found


@cache
def aliases(module: str) -> dict[str, ast.expr]:
    """Return the values that a module gives to its names."""
    found: dict[str, ast.expr] = {}
    for node in ast.parse(inspect.getsource(importlib.import_module(module))).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


def origin(module: str, name: str) -> tuple[str, str]:
    """Return the module that defines a name, and its name there."""
    while name in imported(module):
        came_from, name = imported(module)[name]
        if not came_from.startswith("livingworld"):
            return came_from, name
        module = came_from
    return module, name


def is_asynchronous(kind: object) -> bool:
    """Return whether objects of a class have calls that are awaited, entered or iterated over."""
    if not inspect.isclass(kind) or not kind.__module__.startswith("livingworld.") or kind.__name__ in STAYS:
        return False
    members = {name: inspect.unwrap(each) for name, each in inspect.getmembers(kind) if callable(each)}
    waits = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(test(each) for name, each in members.items() for test in waits if not name.startswith("_")) or hasattr(
        kind, "__anext__"
    )


class Translated(ast.NodeTransformer):
    """Rewrites an annotation of a module as the blocking API has it."""

    def __init__(self, module: str, needs: Needs, variables: dict[str, ast.expr] | None = None) -> None:
        self._module = module
        self._needs = needs
        self._variables = variables or {}
        #: Whether a function in it is awaited by the asynchronous API.
        self.has_functions = False

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace asyncio.Event."""
        if ast.unparse(node) == "asyncio.Event":
            self._needs.add("livingworld.sync.mirror", "Event")
            return ast.Name("Event")
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Replace what is awaited by its result, and an alias by what it stands for."""
        name = ast.unparse(node.value)
        if name == "Literal":
            self._needs.add("typing", "Literal")
            return node
        if name == "Awaitable":
            self.has_functions = True
            result: ast.AST = self.visit(node.slice)
            return result
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        alias = self._alias(name, arguments)
        if alias is not None:
            return alias
        node.value, node.slice = self.visit(node.value), self.visit(node.slice)
        if isinstance(node.value, ast.Name) and node.value.id in {each.__name__ for each in self._needs.twins}:
            return node.value  # its scope is known
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Import a name, or replace it."""
        if node.id in self._variables:
            return self._variables[node.id]  # translated where it was written
        if node.id == SCOPE:
            self._needs.twins.add(TransactionScope)
            return ast.Name("TransactionScope")
        module, name = origin(self._module, node.id)
        if name in BLOCKING:
            self._needs.add(*BLOCKING[name])
            return ast.Name(BLOCKING[name][1])
        if not module.startswith("livingworld"):
            self._needs.add(module, name)
            return ast.Name(name)
        value = getattr(importlib.import_module(module), name, None)
        return self._own(module, name, value)

    def _own(self, module: str, name: str, value: object) -> ast.AST:
        if isinstance(value, TypeVar):
            self._needs.variables.add(name)
            return ast.Name(name)
        if is_asynchronous(value):
            assert isinstance(value, type)
            self._needs.twins.add(value)
        elif name in aliases(module):
            return self._alias(name, []) or ast.Name(name)
        elif value is not None:
            self._needs.add(module, name)
        return ast.Name(name)

    def _alias(self, name: str, arguments: list[ast.expr]) -> ast.AST | None:
        """Return what an alias of livingworld stands for, if functions or asynchronous classes are in it."""
        module, name = origin(self._module, name)
        if not module.startswith("livingworld") or name not in aliases(module):
            return None
        free = [each.id for each in ast.walk(aliases(module)[name]) if isinstance(each, ast.Name)]
        variables = [each for each in dict.fromkeys(free) if _is_variable(module, each) and each != SCOPE]
        given = [self.visit(ast.parse(ast.unparse(each), mode="eval").body) for each in arguments]
        inner = Translated(module, needs := Needs(), dict(zip(variables, given, strict=False)))
        body: ast.AST = inner.visit(ast.parse(ast.unparse(aliases(module)[name]), mode="eval").body)
        if not inner.has_functions and not needs.twins:
            self._needs.add(module, name)
            return ast.Name(name) if not arguments else None
        self.has_functions |= inner.has_functions
        merge(self._needs, needs)
        return body


def _is_variable(module: str, name: str) -> bool:
    where, own = origin(module, name)
    if not where.startswith("livingworld"):
        return False
    found: ModuleType = importlib.import_module(where)
    return isinstance(getattr(found, own, None), TypeVar)


def merge(into: Needs, other: Needs) -> None:
    """Add what another one needs."""
    for module, names in other.imports.items():
        into.imports.setdefault(module, set()).update(names)
    into.twins |= other.twins
    into.variables |= other.variables
