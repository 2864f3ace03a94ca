"""The blocking twin of one class: each call with its signature and the first line of its promise."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from site_generator.field_comments import field_comments
from sync_generator.names import Needs, Translated, is_asynchronous, origin

_STARS: Final[dict[Any, str]] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
_LITERALS: Final = (bool, int, float, str, type(None))
#: Fields that an application sets.
_SET: Final = {("RunningTask", "result")}
#: The types of fields that the source gives by a call.
_TYPES: Final = {"lost": "asyncio.Event", "cancel_requested": "asyncio.Event"}
#: What has no blocking form: its arguments belong to another event loop.
_LEFT_OUT: Final = {
    *(("World", "join"), ("LivingWorld", "open"), ("RunningTask", "ended")),
    *(("SampleCollector", "run"), ("SampleCollector", "stop"), ("HeldLease", "check"), ("Cycle", "check")),
}


@dataclass
class Twin:
    """The text of a class, and what its module imports."""

    kind: type[Any]
    text: str
    needs: Needs


def twin_of(kind: type[Any], instance: object | None) -> Twin:
    """Return the twin of a class; an instance says which rooms it has."""
    needs = Needs()
    bases = [each for each in kind.__mro__[1:] if is_asynchronous(each) and each is not kind]
    base = bases[0] if bases else None
    members = list(_fields(kind, instance, needs))
    for name, value in vars(kind).items():
        if not name.startswith("_") and (kind.__name__, name) not in _LEFT_OUT:
            members += _member(kind, name, value, needs)
    if "__anext__" in vars(kind):
        members.append(_iteration(kind, needs))
    needs.runtime.setdefault(kind.__module__, set()).add(kind.__name__)
    parent = "Mirror" if base is None else f"{base.__name__}"
    head = f"class {kind.__name__}({parent}, original=original.{kind.__name__}):\n"
    doc = textwrap.indent(_doc(_first(kind)), "    ")
    return Twin(kind, head + doc + "\n" + "\n".join(textwrap.indent(each, "    ") for each in members), needs)


def _doc(sentence: str, indent: str = "") -> str:
    """Return a docstring whose lines are not too long."""
    lines = textwrap.wrap(sentence, 104)
    text = lines[0] if len(lines) == 1 else "\n".join(lines) + "\n"
    return textwrap.indent(f'"""{text}"""\n', indent)


def _first(value: object) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".") + "."


def _fields(kind: type[Any], instance: object | None, needs: Needs) -> list[str]:
    """Return the properties for the rooms of an instance, and for the fields that a constructor sets."""
    rooms = {name: each for name, each in vars(instance).items() if not name.startswith("_")} if instance else {}
    found = {name: type(each).__name__ for name, each in rooms.items() if is_asynchronous(type(each))}
    needs.twins |= {type(each) for each in rooms.values() if is_asynchronous(type(each))}
    comments = field_comments(kind)
    for name, annotation in _assigned(kind).items():
        if name not in found and name not in {"list", "update", "archive", "restore"}:
            found[name] = ast.unparse(Translated(kind.__module__, needs).visit(annotation))
    return [_property(kind, name, text, comments.get(name, "")) for name, text in found.items()]


def _assigned(kind: type[Any]) -> dict[str, ast.expr]:
    """Return the public fields that the constructor of a class sets, with their types."""
    if is_dataclass(kind):
        own = {each.name: str(each.type) for each in fields(kind) if not each.name.startswith("_")}
        return {name: ast.parse(text, mode="eval").body for name, text in own.items()}
    constructor = vars(kind).get("__init__")
    if constructor is None:
        return {}
    tree = ast.parse(textwrap.dedent(inspect.getsource(constructor))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    given = {each.arg: each.annotation for each in (*tree.args.args, *tree.args.kwonlyargs)}
    found: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.AnnAssign | ast.Assign):
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if not isinstance(target, ast.Attribute) or target.attr.startswith("_"):
            continue
        if isinstance(node, ast.AnnAssign):
            found[target.attr] = node.annotation
        elif target.attr in _TYPES:
            found[target.attr] = ast.parse(_TYPES[target.attr], mode="eval").body
        elif isinstance(node.value, ast.Name) and (annotation := given.get(node.value.id)) is not None:
            found[target.attr] = annotation
    return found


def _property(kind: type[Any], name: str, annotation: str, comment: str) -> str:
    doc = comment.rstrip(".") + "." if comment else f"The {name.replace('_', ' ')}."
    text = f"@property\ndef {name}(self) -> {annotation}:\n" + _doc(doc, "    ")
    text += f'    value: {annotation} = self._get("{name}")\n    return value\n'
    if (kind.__name__, name) in _SET:
        text += f'\n@{name}.setter\ndef {name}(self, value: {annotation}) -> None:\n    self._set("{name}", value)\n'
    return text


def _member(kind: type[Any], name: str, value: Any, needs: Needs) -> list[str]:  # noqa: ANN401
    if isinstance(value, property) and value.fget is not None:
        annotation = _translated(value.fget.__module__, value.fget.__annotations__["return"], needs)[0]
        return [_property(kind, name, annotation, _first(value))]
    if not inspect.isfunction(value):
        return []
    return [_method(name, value, needs)]


def _method(name: str, function: Any, needs: Needs) -> str:  # noqa: ANN401
    module = inspect.unwrap(function).__module__
    shown, passed, star = ["self"], [], False
    for each in list(inspect.signature(function).parameters.values())[1:]:
        if each.kind is each.KEYWORD_ONLY and not star:
            shown, star = [*shown, "*"], True
        star |= each.kind is each.VAR_POSITIONAL
        text, argument = _parameter(module, each, needs)
        shown.append(text)
        passed.append(f"{each.name}={argument}" if each.kind is each.KEYWORD_ONLY else argument)
    result, _ = _translated(module, inspect.signature(function).return_annotation, needs)
    how, result = _how(function, result, needs)
    call = ", ".join([f'"{name}"', *passed])
    head = f"def {name}({', '.join(shown)}) -> {result}:\n" + _doc(_first(function), "    ")
    if result == "None":
        return head + f"    self.{how}({call})\n"
    return head + f"    returned: {result} = self.{how}({call})\n    return returned\n"


def _how(function: Any, result: str, needs: Needs) -> tuple[str, str]:  # noqa: ANN401
    """Return how the call is made, and what it returns."""
    if function is not inspect.unwrap(function) and inspect.isasyncgenfunction(inspect.unwrap(function)):
        needs.add("contextlib", "AbstractContextManager")
        return "_enter", f"AbstractContextManager{result.removeprefix('Iterator')}"
    if result.startswith("AbstractContextManager"):
        return "_enter", result
    return ("_iterate" if result.startswith("Iterator[") else "_call"), result


def _parameter(module: str, parameter: inspect.Parameter, needs: Needs) -> tuple[str, str]:
    annotation, has_functions = _translated(module, parameter.annotation, needs)
    stars = _STARS.get(parameter.kind, "")
    argument = f"{stars}{parameter.name}"
    if has_functions and str(parameter.annotation).startswith("Awaitable["):
        needs.add("collections.abc", "Callable")
        annotation, argument = f"Callable[[], {annotation}]", f"self._work({parameter.name})"
    elif has_functions:
        argument = f"self._function({parameter.name})"
    text = f"{stars}{parameter.name}: {annotation}"
    default = "" if parameter.default is parameter.empty else f" = {_default(module, parameter.default, needs)}"
    return text + default, argument


def _default(module: str, value: object, needs: Needs) -> str:
    if isinstance(value, Enum):
        needs.runtime.setdefault(type(value).__module__, set()).add(type(value).__name__)
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, timedelta):
        needs.runtime.setdefault("datetime", set()).add("timedelta")
        return f"timedelta(seconds={value.total_seconds():g})"
    if all(isinstance(each, _LITERALS) for each in (value if isinstance(value, tuple) else [value])):
        return repr(value)
    if is_dataclass(value) and not isinstance(value, type) and value == type(value)():
        needs.runtime.setdefault(type(value).__module__, set()).add(type(value).__name__)
        return f"{type(value).__name__}()"
    named = [name for name, each in vars(importlib.import_module(module)).items() if each is value]
    if not named:
        raise ValueError(f"a default of {module} has no name: {value!r}")
    known = named[0]
    where, name = origin(module, known)
    needs.runtime.setdefault(where, set()).add(name)
    return name


def _translated(module: str, annotation: object, needs: Needs) -> tuple[str, bool]:
    assert isinstance(annotation, str), annotation
    translated = Translated(module, needs)
    tree = ast.parse(annotation, mode="eval").body
    return ast.unparse(translated.visit(tree)), translated.has_functions


def _iteration(kind: type[Any], needs: Needs) -> str:
    result, _ = _translated(kind.__module__, vars(kind)["__anext__"].__annotations__["return"], needs)
    return (
        f'def __iter__(self) -> {kind.__name__}:\n    """Return the iterator, itself."""\n    return self\n\n'
        f'def __next__(self) -> {result}:\n    """Wait for the next item."""\n'
        f"    item: {result} = self._next()\n    return item\n"
    )
