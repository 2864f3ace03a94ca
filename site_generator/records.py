"""The reference of everything else that can be imported from `livingworld`: records, inputs, what a block gives."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from typing import Any, Final

import livingworld
from livingworld import errors
from site_generator.field_comments import field_comments
from site_generator.prose import linked, prose
from site_generator.signatures import signature
from site_generator.surface import calls

#: What has a page of its own, or a section on the page of the calls.
ELSEWHERE: Final = {"LivingWorld", "World", "TransactionScope", "Settings"}
#: Methods that one file of the package offers to another one, not to programs.
INTERNAL: Final = {
    "NewMemory.row",
    "NewScene.members",
    "NewState.as_json",
    "RelationshipChange.row",
    "RunningAction.run",
    "RunningTask.ended",
    "SampleCollector.run",
    "SampleCollector.stop",
    "Subscription.end",
    "Subscription.deliver",
    "Turn.end_lease",
    "Turn.give_up",
}


def names_of_records() -> list[str]:
    """Return the names that the package exports, without the errors and without what stands elsewhere."""
    return sorted(set(livingworld.__all__) - set(errors.__all__) - ELSEWHERE, key=str.casefold)


def record_reference() -> str:
    """Return a section for each name."""
    return "\n\n".join(_section(name, getattr(livingworld, name)) for name in names_of_records())


def _section(name: str, value: Any) -> str:  # noqa: ANN401 - whatever the package exports
    origin = getattr(value, "__origin__", value)
    if inspect.isclass(origin):
        return "\n\n".join(
            part for part in [f"## {name}", prose(origin), _fields(origin), _methods(name, origin)] if part
        )
    if inspect.isfunction(value):
        return f"## {name}\n\n```python\n{signature(name, value)}\n```\n\n{prose(value)}"
    return f"## {name}\n\nA value of `{getattr(type(value), '__name__', value)}`: `{value!r}`."[:600]


def _fields(kind: type[Any]) -> str:
    comments = field_comments(kind)
    names = _names(kind, comments)
    if not names:
        return ""
    rows = [f"| `{name}` | {_code(shown)} | {linked(comments.get(name, ''))} |" for name, shown in names.items()]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def _names(kind: type[Any], comments: dict[str, str]) -> dict[str, str]:
    if issubclass(kind, enum.Enum):
        return {each.name: repr(each.value) for each in kind}
    if dataclasses.is_dataclass(kind):
        return {each.name: str(each.type) for each in dataclasses.fields(kind) if not each.name.startswith("_")}
    return dict.fromkeys(comments, "")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _methods(name: str, kind: type[Any]) -> str:
    return "\n\n".join(
        f"### {name}.{call}\n\n```python\n{signature(f'{name}.{call}', function)}\n```\n\n{prose(function)}"
        for call, function in calls(kind)
        if f"{name}.{call}" not in INTERNAL
    )
