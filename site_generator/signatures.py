"""How a call is written: whether it is awaited or entered, and its parameters."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

_WIDTH: Final = 100
_STARS: Final[dict[object, str]] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
_FUNCTION: Final = re.compile(r"<function (\w+) at 0x\w+>")
_ENUM: Final = re.compile(r"<\w+\.(\w+): [^>]*>")


def signature(path: str, function: Any) -> str:  # noqa: ANN401 - a function of any kind, or a property
    """Return the code that calls it."""
    if isinstance(function, property):
        return f"{path}: {_name(inspect.signature(function.fget).return_annotation) if function.fget else ''}"
    said = inspect.signature(function)
    parameters = [_parameter(each) for each in said.parameters.values() if each.name not in {"self", "cls"}]
    shown = _starred(parameters, said)
    line = f"{_keyword(function)}{path}({', '.join(shown)})"
    if len(line) > _WIDTH:
        line = f"{_keyword(function)}{path}(\n" + "".join(f"    {each},\n" for each in shown) + ")"
    return f"{line} -> {_result(said.return_annotation)}"


def _starred(parameters: list[str], said: inspect.Signature) -> list[str]:
    kinds = [each.kind for each in said.parameters.values() if each.name not in {"self", "cls"}]
    if inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.KEYWORD_ONLY not in kinds:
        return parameters
    place = kinds.index(inspect.Parameter.KEYWORD_ONLY)
    return [*parameters[:place], "*", *parameters[place:]]


def _parameter(parameter: inspect.Parameter) -> str:
    text = f"{_STARS.get(parameter.kind, '')}{parameter.name}: {_name(parameter.annotation)}"
    return text if parameter.default is parameter.empty else f"{text} = {_default(parameter.default)}"


def _default(value: object) -> str:
    text = repr(value).replace("datetime.timedelta", "timedelta")
    return _ENUM.sub(lambda found: repr(getattr(value, "value", found[1])), _FUNCTION.sub(r"\1", text))


def _keyword(function: Any) -> str:  # noqa: ANN401 - a function of any kind
    if inspect.isasyncgenfunction(function):
        return "async for ... in "
    if inspect.isasyncgenfunction(inspect.unwrap(function)) or "ContextManager" in _name(
        inspect.signature(function).return_annotation
    ):
        return "async with "
    return "await " if inspect.iscoroutinefunction(function) else ""


def _result(annotation: object) -> str:
    found = re.fullmatch(r"(?:AsyncIterator|AbstractAsyncContextManager)\[(.*)\]", _name(annotation))
    return found[1] if found else _name(annotation)


def _name(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
