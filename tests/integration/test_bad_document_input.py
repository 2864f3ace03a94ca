from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from livingworld import World
from livingworld.errors import InvalidInput
from tests.integration.test_bad_input import BAD_JSON, BAD_LIMIT, BAD_VERSION, NUL, SURROGATE, nested

pytestmark = pytest.mark.any_server

BAD_KEY: list[Any] = [NUL, SURROGATE, 7, b"bytes", None, "x" * 501, "", "  "]
BAD_FIELD: list[Any] = [NUL, SURROGATE, 7, "x" * 501]
BAD_VALUE: list[Any] = [*BAD_JSON[2:], NUL, math.nan, 2**63]
BAD_NUMBER: list[Any] = ["1", True, None, math.nan, math.inf, 2**63, 1e300]
BAD_STRATEGY: list[Any] = ["newest", None, 7, {"a": "newest"}, ["manual"], {"a": None}]

CASES: dict[str, tuple[str, list[Any], Callable[[World, Any], Awaitable[object]]]] = {
    "read": ("key", BAD_KEY, lambda w, bad: w.documents.read(bad)),
    "find": ("key", BAD_KEY, lambda w, bad: w.documents.find(bad)),
    "prefix": ("prefix", BAD_FIELD, lambda w, bad: w.documents.list(prefix=bad)),
    "list after": ("after", BAD_FIELD, lambda w, bad: w.documents.list(after=bad)),
    "list limit": ("limit", BAD_LIMIT, lambda w, bad: w.documents.list(limit=bad)),
    "history": ("key", BAD_KEY, lambda w, bad: w.documents.history(bad)),
    "history after": ("after", [7, "x", "-1", "9" * 12], lambda w, bad: w.documents.history("k", after=bad)),
    "history limit": ("limit", BAD_LIMIT, lambda w, bad: w.documents.history("k", limit=bad)),
    "at": ("version", BAD_VERSION, lambda w, bad: w.documents.at("k", bad)),
    "set key": ("key", BAD_KEY, lambda w, bad: w.documents.compare_and_set(bad, 1, expected_version=0)),
    "set value": ("value", BAD_VALUE, lambda w, bad: w.documents.compare_and_set("k", bad, expected_version=0)),
    "set version": (
        "expected_version",
        BAD_VERSION[1:],
        lambda w, bad: w.documents.compare_and_set("k", 1, expected_version=bad),
    ),
    "delete key": ("key", BAD_KEY, lambda w, bad: w.documents.delete(bad)),
    "delete version": (
        "expected_version",
        [bad for bad in BAD_VERSION if bad is not None],
        lambda w, bad: w.documents.delete("k", expected_version=bad),
    ),
    "update key": ("key", BAD_KEY, lambda w, bad: w.documents.update(bad, str, default=1)),
    "update function": ("function", [None, 7], lambda w, bad: w.documents.update("k", bad, default=1)),
    "update default": ("default", BAD_VALUE, lambda w, bad: w.documents.update("k", str, default=bad)),
    "update result": (
        "the result of the function",
        BAD_VALUE,
        lambda w, bad: w.documents.update("k", lambda _: bad, default=1),
    ),
    "increment key": ("key", BAD_KEY, lambda w, bad: w.documents.increment(bad)),
    "increment by": ("by", BAD_NUMBER, lambda w, bad: w.documents.increment("k", bad)),
    "increment field": ("field", BAD_FIELD, lambda w, bad: w.documents.increment("k", field=bad)),
    "flag key": ("key", BAD_KEY, lambda w, bad: w.documents.set_if(bad, 1, expected=1)),
    "flag value": ("value", BAD_VALUE, lambda w, bad: w.documents.set_if("k", bad, expected=1)),
    "flag expected": ("expected", BAD_VALUE, lambda w, bad: w.documents.set_if("k", 1, expected=bad)),
    "flag field": ("field", BAD_FIELD, lambda w, bad: w.documents.set_if("k", 1, expected=1, field=bad)),
    "flag depth": ("value", [nested(64)], lambda w, bad: w.documents.set_if("k", bad, expected=1, field="f")),
    "merge key": ("key", BAD_KEY, lambda w, bad: w.documents.merge(bad, base_version=1, changes={}, strategy="manual")),
    "merge changes": (
        "changes",
        BAD_JSON,
        lambda w, bad: w.documents.merge("k", base_version=1, changes=bad, strategy="manual"),
    ),
    "merge version": (
        "base_version",
        BAD_VERSION,
        lambda w, bad: w.documents.merge("k", base_version=bad, changes={}, strategy="manual"),
    ),
    "merge strategy": (
        "strategy",
        BAD_STRATEGY,
        lambda w, bad: w.documents.merge("k", base_version=1, changes={}, strategy=bad),
    ),
    "watch key": ("key", BAD_KEY, lambda w, bad: anext(w.documents.watch(bad))),
    "watch version": (
        "after_version",
        [-1, True, "1", 2**31],
        lambda w, bad: anext(w.documents.watch("k", after_version=bad)),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_is_named_and_nothing_is_written(world: World, case: str) -> None:
    field, values, call = CASES[case]
    for bad in values:
        with pytest.raises(InvalidInput) as refused:
            await call(world, bad)
        assert refused.value.field.startswith(field), bad

    assert (await world.documents.list()).items == ()
