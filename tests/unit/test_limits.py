"""The page of limits says what the code says, and no limit of the code is missing there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import livingworld
from livingworld import Settings, errors

PACKAGE: Final = Path(livingworld.__file__).parent
PAGE: Final = (PACKAGE.parent / "docs/reference/limits.md").read_text(encoding="utf-8")
ROW: Final = re.compile(r"^\| .+ \| `([\w.]+)` \| ([\d,]+) \| `(\w+)` \|$", re.MULTILINE)
#: The rooms in which a program's own input arrives.
ROOMS: Final = ("story", "coordination", "models", "live")
#: What bounds no number and no length of an input.
OTHERS: Final = {
    "livingworld.inputs.MAX_DURATION",
    "livingworld.inputs.MAX_INTEGER",
    "livingworld.inputs.MAX_TTL",
    "livingworld.coordination.actions.new_action.MAX_PRIORITY",
    "livingworld.coordination.cycles.running._MOST_CHARACTERS",
    "livingworld.coordination.locks.transaction_locks.MAX_TIMEOUT",
    "livingworld.live.live._MAX_NUMBER",
    "livingworld.models.scripts.running._MAX_TIMEOUT",
    "livingworld.models.scripts.template_budget.MOST_BITS",
    "livingworld.models.scripts.template_costs._MOST_DIGITS",
    "livingworld.story.memories.nearest_index.MAX_INDEXED_DIMENSIONS",
    "livingworld.story.relationships.records.MAX_DELTA",
    "livingworld.story.search.repository.MAX_LOOKED_AT",
    "livingworld.story.semantic_search.text_embeddings._MOST_PASSED",
    "livingworld.story.turns.attempt._MAX_ERROR",
    "livingworld.story.turns.turn_call._MAX_ERROR",
    "livingworld.story.turns.turn_call._MAX_PART",
}


def constants() -> Iterator[str]:
    """Give the paths of the constants that are called a maximum."""
    files = [PACKAGE / "inputs.py", PACKAGE / "postgres/keyset.py"]
    files += [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    for path in files:
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
            names = [each.id for each in targets if isinstance(each, ast.Name)]
            yield from (f"{module}.{name}" for name in names if re.match(r"_?(MAX|MOST)_", name))


def value_of(path: str) -> object:
    owner, _, name = path.rpartition(".")
    if owner == "Settings":
        return Settings.model_fields[name].default
    return getattr(import_module(owner), name)


def test_each_limit_on_the_page_is_the_one_of_the_code() -> None:
    rows = ROW.findall(PAGE)

    assert len(rows) > 40
    for path, number, error in rows:
        assert value_of(path) == int(number.replace(",", "")), path
        assert issubclass(getattr(errors, error), errors.LivingWorldError)
    assert len(rows) == len({path for path, _, _ in rows}) == len(re.findall(r"^\| .+ \|$", PAGE, re.MULTILINE)) - 3


def test_no_limit_of_the_code_is_missing_on_the_page() -> None:
    named = set(re.findall(r"`(livingworld\.[\w.]+)`", PAGE))

    assert sorted(set(constants()) - named - OTHERS) == []
    assert sorted(OTHERS - set(constants())) == []


def test_every_setting_that_raises_overloaded_is_on_the_page() -> None:
    raised = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r'Overloaded\(setting="(\w+)"', path.read_text(encoding="utf-8"))
    }

    assert {f"Settings.{name}" for name in raised} <= {path for path, _, _ in ROW.findall(PAGE)}
