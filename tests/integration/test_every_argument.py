"""Whatever is given for any argument of any call: it is done, refused by a named error, or not there. Nothing else."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum, IntFlag, StrEnum
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any, Final

import pytest

from livingworld import LivingWorld, World
from livingworld.errors import Conflict, DimensionMismatch, InvalidInput, NotFound, Refused
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import Connection, connected
from tests.support.every_call import CALLS, OBJECTS, carry_out, recorded
from tests.support.every_write import Furnished, furnish
from tests.support.rotation import rotated

pytestmark = pytest.mark.any_server


class Level(IntEnum):
    LOW = 1


class Flags(IntFlag):
    ONE = 1


class Word(StrEnum):
    X = "x"


class Shown(int):
    """A number that is not written as one."""

    def __repr__(self) -> str:
        return "<one>"


class Measured(float):
    def __repr__(self) -> str:
        return "<a half>"


class Marked(str):
    """A text with methods of its own, as template engines have."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class LikeNumPy:
    """What numbers of other packages are: convertible, and neither int nor float."""

    def __index__(self) -> int:
        return 1

    def __float__(self) -> float:
        return 1.0


BAD: Final[tuple[Any, ...]] = (
    *("", "  ", "before\x00after", "lone \ud800 surrogate", "x" * 40_000, "garbage", b"bytes"),
    *(0, -1, True, 2**31, 2**63, 1.5, math.nan, math.inf),
    *([], [None], [{}], ["\x00"], {}, {1: 2}, {"a": math.nan}, {"a": object()}, {"\x00": 1}),
    *(10**400, -(10**400), 1j, Decimal("0.5"), Decimal("NaN"), Fraction(1, 2), LikeNumPy()),
    *(Level.LOW, Flags.ONE, Word.X, Shown(1), Measured(0.5), Marked("x")),
    *("two\nlines", "\x1b[31mred", "delete\x7f", "c1 \x9b", "line\u2028separated", "ab\u202edc"),
    *(timedelta(-1), timedelta.max, datetime.max, new_id(), object(), None),  # noqa: DTZ901 - a time without its zone
)
PARTS: Final = 4
#: A commit tries each argument of each call, with one of so many parts of what is bad.
ROTATION: Final = 8
#: Another number when a transaction has written, or locked a row.
WRITTEN: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
#: Or with those of SQLAlchemy.
WITHOUT_ARGUMENTS: Final = {"transaction", "join"}
#: Options that are handed on are tried where a call gives them.
SEVERAL: Final = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


def temptations(call: Callable[[Furnished], Any], there: Furnished) -> Iterator[tuple[str, object]]:
    """Give every argument that a call takes, each with some of what is bad, and another argument with other things."""
    method, arguments = recorded(call, there)
    parameters = inspect.signature(method).parameters.values()
    named = (each.name for each in parameters if each.kind not in SEVERAL)
    names = list(dict.fromkeys([*named, *arguments]))
    yield from rotated(list(product(names, BAD)), ROTATION)


async def failure(call: Callable[[Furnished], Awaitable[object]], name: str, away: Furnished, here: Furnished) -> str:
    """Return what is wrong with the answer to a call in which what has this name is bad; empty when nothing is.

    It is refused by its name without a database, or else goes through with one, or finds that something is not there.
    """
    try:
        await call(away)
    except InvalidInput as error:
        return "" if re.search(rf"\b{name}\b", error.field) else f"blames {error.field}"
    except Exception:  # noqa: BLE001, S110 - then it is good enough to be tried
        pass
    try:
        await call(here)
    except (
        NotFound,
        Conflict,
        Refused,
        DimensionMismatch,
    ):  # what the embedder's vectors have, only the database knows
        return ""
    except Exception as error:  # noqa: BLE001 - that is the question
        return f"{type(error).__name__}: {error}"
    return ""


class Untouched:
    """A furnished world in which nothing was written: the last one, or another one where something was."""

    def __init__(self, livingworld: LivingWorld, observer: Connection) -> None:
        self._livingworld = livingworld
        self._observer = observer
        self._last: Furnished | None = None
        self._written: object = None

    async def world(self) -> Furnished:
        """Return it; furnishing takes three quarters of the time of these tests, and most calls write nothing."""
        if self._last is None or self._written != await self._observer.fetchval(WRITTEN):
            self._last = await furnish(self._livingworld)
            self._written = await self._observer.fetchval(WRITTEN)
        return self._last


@pytest.mark.rotates
@pytest.mark.parametrize("part", range(PARTS))
async def test_a_bad_argument_is_refused_by_its_name(
    livingworld: LivingWorld, unreachable: tuple[LivingWorld, World], database_url: str, part: int
) -> None:
    failures = {}
    async with connected(database_url) as observer:
        untouched = Untouched(livingworld, observer)
        for path in sorted(CALLS)[part::PARTS]:
            here = await untouched.world()
            away = replace(here, livingworld=unreachable[0], world=unreachable[1])
            for name, bad in temptations(CALLS[path], here):
                call = partial(carry_out, CALLS[path], {name: bad})
                if wrong := await failure(call, name, away, here):
                    failures[f"{path}({name}={bad!r:.40})"] = wrong

    assert failures == {}


@pytest.mark.rotates
@pytest.mark.parametrize("kind", OBJECTS)
async def test_a_bad_field_is_refused_by_its_name(
    livingworld: LivingWorld, unreachable: tuple[LivingWorld, World], kind: str
) -> None:
    make, use = OBJECTS[kind]
    here = await furnish(livingworld)
    away = replace(here, livingworld=unreachable[0], world=unreachable[1])

    async def use_changed(change: dict[str, Any], there: Furnished) -> None:
        await use(there, replace(make(there), **change))

    failures = {
        f"{field.name}={bad!r:.40}": wrong
        for field, bad in rotated(list(product(fields(make(here)), BAD)), ROTATION)
        if (wrong := await failure(partial(use_changed, {field.name: bad}), field.name, away, here))
    }

    assert failures == {}


async def test_nothing_that_a_world_offers_is_left_out(livingworld: LivingWorld) -> None:
    world = await livingworld.worlds.create("w")
    offered = set(offers(world)) | {f"worlds.{name}" for name in offers(livingworld.worlds)}

    assert offered - {path.split(",")[0] for path in CALLS} == WITHOUT_ARGUMENTS


def offers(part: object) -> Iterator[str]:
    """Give the paths of all public methods of a part and of its parts."""
    for name, value in inspect.getmembers(part):
        if name.startswith("_"):
            continue
        if inspect.isroutine(value):
            yield name
        elif type(value).__module__.startswith("livingworld") and not is_dataclass(value):
            yield from (f"{name}.{each}" for each in offers(value))
