"""The `#:` comments of a class: what each of its fields means."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any


def field_comments(kind: type[Any]) -> dict[str, str]:
    """Return the comment before each field, by the field's name; of the class itself and of those it inherits from."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each.__module__.startswith("livingworld."):
            found |= _own_comments(each)
    return found


def _own_comments(kind: type[Any]) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.AnnAssign | ast.Assign)]
    named = {node.lineno: name for node in statements if (name := _target(node)) is not None}
    return {name: comment for line, name in sorted(named.items()) if (comment := _comment_above(lines, line - 1))}


def _target(statement: ast.AnnAssign | ast.Assign) -> str | None:
    """Return the public name that a statement gives a value: `name: int`, `NAME = 1`, `self.name = 1`."""
    target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
    name = target.id if isinstance(target, ast.Name) else _own_attribute(target)
    return None if name is None or name.startswith("_") else name


def _own_attribute(target: ast.expr) -> str | None:
    is_own = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
    return target.attr if is_own and isinstance(target, ast.Attribute) else None


def _comment_above(lines: list[str], place: int) -> str:
    first = place
    while first > 0 and lines[first - 1].lstrip().startswith("#:"):
        first -= 1
    return " ".join(line.strip().removeprefix("#:").strip() for line in lines[first:place])
