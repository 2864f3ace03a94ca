from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from livingworld import CastMember, LivingWorld, NewScene, World
from livingworld.errors import InvalidInput, Unavailable
from livingworld.identifiers import new_id

pytestmark = pytest.mark.any_server

ID = new_id()
NUL, SURROGATE = "before\x00after", "lone \ud800 surrogate"
Call = Callable[[LivingWorld, World], Awaitable[object]]


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"deeper": value}
    return value


BAD_TEXT: list[Any] = [NUL, SURROGATE, 7, b"bytes", None, "x" * 501, "", "  "]
BAD_NAME = [*BAD_TEXT[:5], "x" * 201, "", "  ", "\u200b\u200d", "\ufdfa" * 199]
BAD_JSON: list[Any] = [
    [],
    "text",
    {"a": NUL},
    {NUL: 1},
    {"a": SURROGATE},
    {1: "a"},
    {"a": math.nan},
    {"a": [math.inf]},
    {"a": 2**63},
    {"a": {1, 2}},
    {"a": b"bytes"},
    {"a": object()},
    nested(65),
    {"a": "x" * 1_000_001},
]
BAD_VERSION: list[Any] = [0, -1, True, "1", 1.0, 2**31]
BAD_ID: list[Any] = ["6f1c0000-0000-7000-8000-000000000000", 7, None]
BAD_LIMIT: list[Any] = [0, 1001, True, "10"]
BAD_CURSOR: list[Any] = [7, "garbage", "Z2FyYmFnZQ==", "é"]
BAD_MOMENT: list[Any] = [-1, True, 1.0, 2**31, b"x", ID, "", "garbage", "1/2", "G/0/0", "1/2/123456789", " 1/2/3"]

CASES: dict[str, tuple[str, list[Any], Callable[[LivingWorld, World, Any], Awaitable[object]]]] = {
    "world name": ("name", BAD_TEXT, lambda lw, _, bad: lw.worlds.create(bad)),
    "world tenant": ("tenant", [NUL, 7, "x" * 501], lambda lw, _, bad: lw.worlds.create("w", tenant=bad)),
    "world settings": ("settings", BAD_JSON[1:], lambda lw, _, bad: lw.worlds.create("w", settings=bad)),
    "world id": ("world_id", BAD_ID, lambda lw, _, bad: lw.worlds.get(bad)),
    "world purge": ("world_id", BAD_ID, lambda lw, _, bad: lw.worlds.purge(bad)),
    "world version": ("expected_version", BAD_VERSION, lambda lw, _, bad: lw.worlds.update(ID, expected_version=bad)),
    "worlds limit": ("limit", BAD_LIMIT, lambda lw, _, bad: lw.worlds.list(limit=bad)),
    "worlds after": ("after", BAD_CURSOR, lambda lw, _, bad: lw.worlds.list(after=bad)),
    "title": ("title", BAD_TEXT, lambda _, w, bad: w.stories.create(bad)),
    "premise": ("premise", [NUL, SURROGATE, 7, "x" * 100_001], lambda _, w, bad: w.stories.create("t", premise=bad)),
    "prompt": ("system_prompt", [NUL, b"x"], lambda _, w, bad: w.stories.create("t", system_prompt=bad)),
    "story settings": ("settings", BAD_JSON[1:], lambda _, w, bad: w.stories.create("t", settings=bad)),
    "story id": ("story_id", BAD_ID, lambda _, w, bad: w.stories.get(bad)),
    "head id": ("story_id", BAD_ID, lambda _, w, bad: w.stories.head(bad)),
    "append id": ("story_id", BAD_ID, lambda _, w, bad: w.stories.append_scene(bad, NewScene("x"))),
    "append scene": ("scene", ["x", None, {}], lambda _, w, bad: w.stories.append_scene(ID, bad)),
    "append branch": ("branch", BAD_VERSION, lambda _, w, bad: w.stories.append_scene(ID, NewScene("x"), branch=bad)),
    "append head": (
        "expected_head",
        [-1, True, "1", 2**31],
        lambda _, w, bad: w.stories.append_scene(ID, NewScene("x"), expected_head=bad),
    ),
    "request key": (
        "request_key",
        [NUL, "", 7, "x" * 501],
        lambda _, w, bad: w.stories.append_scene(ID, NewScene("x"), request_key=bad),
    ),
    "cast name": (
        "cast[0]",
        ["\u200b", "\ufdfa" * 199],
        lambda _, w, bad: w.stories.append_scene(ID, NewScene("x", (), [bad])),
    ),
    "status": ("status", ["gone", 7], lambda _, w, bad: w.stories.update(ID, expected_version=1, status=bad)),
    "story version": ("expected_version", BAD_VERSION, lambda _, w, bad: w.stories.update(ID, expected_version=bad)),
    "stories limit": ("limit", BAD_LIMIT, lambda _, w, bad: w.stories.list(limit=bad)),
    "stories after": ("after", BAD_CURSOR, lambda _, w, bad: w.stories.list(after=bad)),
    "scene number": ("scene_number", [-1, True, "1", 2**31], lambda _, w, bad: w.stories.scene(ID, bad)),
    "scenes after": ("after", [7, "x", "-1", "9" * 12], lambda _, w, bad: w.stories.scenes(ID, after=bad)),
    "scenes limit": ("limit", BAD_LIMIT, lambda _, w, bad: w.stories.scenes(ID, limit=bad)),
    "recent": ("k", BAD_LIMIT, lambda _, w, bad: w.stories.recent(ID, bad)),
    "edit": (
        "content",
        [NUL, SURROGATE, 7],
        lambda _, w, bad: w.stories.edit_scene(ID, 1, expected_version=1, content=bad),
    ),
    "edit metadata": (
        "metadata",
        BAD_JSON,
        lambda _, w, bad: w.stories.edit_scene(ID, 1, expected_version=1, metadata=bad),
    ),
    "name": ("name", BAD_NAME, lambda _, w, bad: w.characters.get_or_create(bad)),
    "one of many names": ("names[1]", BAD_NAME, lambda _, w, bad: w.characters.get_or_create_many(["Mara", bad])),
    "card": ("card", BAD_JSON[1:], lambda _, w, bad: w.characters.get_or_create("Mara", card=bad)),
    "find": ("name", BAD_NAME, lambda _, w, bad: w.characters.find(bad)),
    "alias": ("name", BAD_NAME, lambda _, w, bad: w.characters.add_alias(ID, bad)),
    "rename": (
        "name",
        [*BAD_NAME[:4], "\u200b"],
        lambda _, w, bad: w.characters.update(ID, expected_version=1, name=bad),
    ),
    "character": ("character", [*BAD_NAME, 7, None, b"x"], lambda _, w, bad: w.characters.get(bad)),
    "at least": ("at_least", BAD_MOMENT, lambda _, w, bad: w.stories.recent(ID, 1, at_least=bad)),
    "at least, of no story": ("at_least", [*BAD_MOMENT, 1], lambda _, w, bad: w.stories.list(at_least=bad)),
    "run key": ("request_key", ["", NUL, 7], lambda _, w, bad: w.run(nothing, request_key=bad)),
    "run arguments": ("arguments", BAD_JSON[1:], lambda _, w, bad: w.run(nothing, request_key="k", arguments=bad)),
}
SCENES: dict[str, tuple[str, list[Any], Callable[[Any], NewScene]]] = {
    "content": ("content", [NUL, SURROGATE, 7, None, b"x", "x" * 1_000_001], NewScene),
    "choices": ("choices", ["text", {"a"}, ["x"] * 101], lambda bad: NewScene("x", bad)),
    "a choice": ("choices[1]", [NUL, "", 7, "x" * 10_001], lambda bad: NewScene("x", ["ok", bad])),
    "cast": ("cast", ["Mara", [ID, ID]], lambda bad: NewScene("x", (), bad)),
    "a member": ("cast[0]", [7, None], lambda bad: NewScene("x", (), [bad])),
    "a name": ("cast[0].character", ["", NUL], lambda bad: NewScene("x", (), [bad])),
    "role": ("cast[0].role", [NUL, 7], lambda bad: NewScene("x", (), [CastMember(ID, bad)])),
    "importance": (
        "cast[0].importance",
        [math.nan, math.inf, 1.5, -0.1, True, "1"],
        lambda bad: NewScene("x", (), [CastMember(ID, None, bad)]),
    ),
    "chosen choice": ("chosen_choice", [0, 101, True, "1", 1.0], lambda bad: NewScene("x", chosen_choice=bad)),
    "location": ("location", [NUL, 7, "x" * 501], lambda bad: NewScene("x", location=bad)),
    "story time": ("story_time", [SURROGATE, 7], lambda bad: NewScene("x", story_time=bad)),
    "metadata": ("metadata", BAD_JSON, lambda bad: NewScene("x", metadata=bad)),
    "raw response": ("raw_response", [NUL, 7, "x" * 4_000_001], lambda bad: NewScene("x", raw_response=bad)),
}


async def nothing(_: object) -> None:
    """Do nothing: the arguments are what counts."""


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_is_refused_by_name_before_any_sql(unreachable: tuple[LivingWorld, World], case: str) -> None:
    field, values, call = CASES[case]
    for bad in values:
        with pytest.raises(InvalidInput) as caught:
            await call(*unreachable, bad)
        assert caught.value.field.startswith(field), (bad if len(str(bad)) < 100 else "long", caught.value)


@pytest.mark.parametrize("case", SCENES)
def test_a_scene_that_could_not_be_stored_cannot_be_made(case: str) -> None:
    field, values, make = SCENES[case]
    for bad in values:
        with pytest.raises(InvalidInput) as caught:
            make(bad)
        assert caught.value.field.startswith(field), caught.value


async def test_good_input_does_reach_for_the_database(unreachable: tuple[LivingWorld, World]) -> None:
    livingworld, world = unreachable
    for call in (
        livingworld.worlds.create("w", settings=nested(64)),
        world.stories.head(ID),
        world.characters.find("M"),
    ):
        with pytest.raises(Unavailable):
            await call


def test_no_error_repeats_the_text_it_refused() -> None:
    secret = "the lantern was hers"
    with pytest.raises(InvalidInput) as caught:
        NewScene(f"{secret}\x00")
    assert secret not in str(caught.value)
    assert isinstance(ID, UUID)
