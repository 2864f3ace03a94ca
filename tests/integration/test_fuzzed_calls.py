"""Whatever is given for arguments of a call: it is done, or refused by a named error, and all is whole afterwards."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livingworld import LivingWorld
from livingworld.doctor import Doctor
from livingworld.errors import Conflict, InvalidInput, NotFound, Refused
from tests.support.aftermath import connections_in_use
from tests.support.every_call import CALLS, carry_out, recorded
from tests.support.every_write import Furnished, furnish
from tests.support.rotation import WHOLE, rotated
from tests.support.stored_rows import rows_of

#: A commit tries one of so many parts of the calls.
ROTATION: Final = 3
CALLS_TOGETHER: Final = 4
#: These remove the world itself, or wait for what nobody does.
LEFT_OUT: Final = {"worlds.purge", "worlds.archive", "run", "tasks.wait_cancelled"}


def nested(depth: int) -> list[Any]:
    """Return a list in a list, and so on."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


#: By name, so that a failure is printed in a line.
HUGE: Final[dict[str, Any]] = {
    "ten megabytes": "x" * 10_000_000,
    "ten thousand levels": nested(10_000),
    "an object of ten thousand levels": {"a": nested(10_000)},
    "a million numbers": [0] * 1_000_000,
    "a number of 10,000 digits": 10**10_000,
    "no end": iter(int, 1),
}
_signs = st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "L", "N", "Mn", "So"])
_texts = st.text(_signs, max_size=30) | st.sampled_from(
    ["", " ", "main", "flags", "greeting", "merge", "\u202eabc", "%s"]
)
_numbers = st.integers(-(2**70), 2**70) | st.integers(-2, 3) | st.floats() | st.sampled_from([math.nan, math.inf])
_times = st.timedeltas() | st.datetimes() | st.datetimes(timezones=st.just(UTC))
_plain = st.none() | st.booleans() | _numbers | _texts | _times | st.uuids() | st.binary(max_size=5)
values = st.recursive(
    _plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_texts | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)
#: What a draw stands for: a value, something huge, or the id of a thing in this world or in another one.
draws = st.one_of(
    values,
    st.sampled_from(sorted(HUGE)).map(lambda name: ("huge", name)),
    st.sampled_from(["here", "elsewhere"]).flatmap(lambda where: st.tuples(st.just(where), st.integers(0, 6))),
)


def meant(draw: Any, here: Furnished, elsewhere: Furnished) -> Any:  # noqa: ANN401 - anything is given
    match draw:
        case ("huge", str(name)):
            return HUGE[name]
        case ("here" | "elsewhere" as where, int(number)):
            at = here if where == "here" else elsewhere
            things = (at.world, at.story, at.mara, at.memory, at.entry, at.session, at.task)
            return things[number].id if number else at.world.record.id
    return draw


class Places:
    """The world that is called, and one beside it, which nothing may reach."""

    def __init__(self, here: Furnished, elsewhere: Furnished, untouched: dict[str, list[str]]) -> None:
        self.here, self.elsewhere, self.untouched = here, elsewhere, untouched

    @classmethod
    async def made(cls, livingworld: LivingWorld, url: str) -> Places:
        here, elsewhere = await furnish(livingworld), await furnish(livingworld)
        return cls(here, elsewhere, await rows_of(url, elsewhere.world.id))


@pytest_asyncio.fixture
async def made(livingworld: LivingWorld, database_url: str) -> AsyncIterator[Places]:
    """Give the two worlds; afterwards the one is whole and the other one is as it was."""
    places = await Places.made(livingworld, database_url)
    yield places
    assert connections_in_use(livingworld) == 0
    assert await rows_of(database_url, places.elsewhere.world.id) == places.untouched
    async with Doctor.open(database_url=database_url) as doctor:
        assert await doctor.examine(places.here.world.id) == ()


@pytest.mark.rotates
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150 if WHOLE else 8)
@given(data=st.data())
async def test_no_argument_makes_a_call_fail_in_another_way(
    livingworld: LivingWorld, made: Places, data: st.DataObject
) -> None:
    here, elsewhere = made.here, made.elsewhere
    for _ in range(CALLS_TOGETHER):
        path = data.draw(st.sampled_from(rotated(sorted(CALLS.keys() - LEFT_OUT), ROTATION)), label="call")
        _, arguments = recorded(CALLS[path], here)
        names = st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True)
        chosen = data.draw(names if arguments else st.just([]))
        change = {name: meant(data.draw(draws, label=name), here, elsewhere) for name in chosen}
        with suppress(InvalidInput, NotFound, Conflict, Refused):
            await carry_out(CALLS[path], change, here)

    assert connections_in_use(livingworld) == 0
