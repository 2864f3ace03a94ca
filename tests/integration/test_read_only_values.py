"""Values that come out are read-only all the way down, and say so when they are changed."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from livingworld import LivingWorld, NewScene
from livingworld.errors import LivingWorldError
from livingworld.read_only import read_only
from tests.support.every_call import CALLS
from tests.support.every_write import furnish

NESTED: dict[str, Any] = {"a": {"b": [1, {"c": []}]}, "d": "text"}
CHANGES = (
    lambda value: value.update(x=1),
    lambda value: value.pop("a"),
    lambda value: value["a"].__setitem__("b", 1),
    lambda value: value["a"]["b"].append(1),
    lambda value: value["a"]["b"][1]["c"].extend([1]),
    lambda value: value["a"]["b"].sort(),
    lambda value: value.__ior__({"x": 1}),
    lambda value: value["a"]["b"].__iadd__([1]),
    lambda value: value.clear(),
    lambda value: value.setdefault("x", 1),
    lambda value: value.__delitem__("a"),
)


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_every_change_is_refused_in_words(change: Any) -> None:  # noqa: ANN401 - a function of a value
    value = read_only(NESTED)

    with pytest.raises(TypeError, match="read-only: change a copy"):
        change(value)
    assert value == NESTED


def test_it_is_written_compared_and_copied_as_a_plain_one_is() -> None:
    value = read_only(copy.deepcopy(NESTED))

    assert json.dumps(value) == json.dumps(NESTED)
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own
    changed = copy.deepcopy(value)
    changed["a"]["b"][1]["c"].append(1)
    assert type(changed["a"]["b"]) is list
    assert changed != value == NESTED
    assert type(value | {"x": 1}) is dict


def changeable(value: object, place: str) -> Iterator[str]:
    """Give the places in what a call returned that can be changed."""
    if type(value) in {dict, list}:
        yield place
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from changeable(each, f"{place}[{index}]")
    elif is_dataclass(value):
        for each in fields(value):
            yield from changeable(getattr(value, each.name), f"{place}.{each.name}")
        if hasattr(value, "value"):
            yield from changeable(value.value, f"{place}.value")


async def test_no_call_returns_anything_that_can_be_changed(livingworld: LivingWorld) -> None:
    there = await furnish(livingworld)
    world, story = there.world, there.story.id
    await world.characters.update("Mara", expected_version=1, card=NESTED)
    await world.facts.set(story, "Mara", "mood", NESTED)
    await world.stories.append_scene(story, NewScene("x", cast=["Mara"], metadata=NESTED))
    await world.sessions.set_context(there.session.id, NESTED, expected_version=1)
    await world.documents.compare_and_set("nested", NESTED, expected_version=0)
    found: list[str] = []
    tried = 0
    for name, call in CALLS.items():
        if "purge" in name or not inspect.isawaitable(given := call(there)):
            continue
        try:
            answer = await given
            several = tuple(answer.values()) if name == "ai_models.all_active" else answer  # a mapping of its own
            found += changeable(several, name)
        except LivingWorldError:
            continue
        tried += 1
    async with world.turns.take(story, request_key="context") as turn:
        found += changeable(turn.context, "context")

    assert found == []
    assert tried > 60
