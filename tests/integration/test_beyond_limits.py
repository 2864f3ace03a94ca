"""One more than each limit of the page of limits is refused by the error that the page names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from livingworld import LivingWorld
from tests.support.beyond_limits import BEYOND, carried_out
from tests.support.every_write import Furnished, furnish
from tests.unit.test_limits import PAGE, ROW

pytestmark = pytest.mark.any_server
TESTS: Final = Path(__file__).parents[1]
PARTS: Final = 3
#: What has a test of its own, since it is reached step by step.
ELSEWHERE: Final = {
    "Settings.queue_limit": "isolation/test_queues_and_deadlines.py",
    "Settings.queue_characters": "isolation/test_queues_and_deadlines.py",
    "Settings.story_queue_limit": "integration/test_limits.py",
    "livingworld.story.turns.rows.MAX_LINE": "integration/test_limits.py",
    "Settings.subscription_limit": "integration/test_limits.py",
    "livingworld.live.presence_writing.MAX_PRESENT": "integration/test_limits.py",
    "livingworld.live.presence_writing.MAX_CONNECTIONS": "support/full_queues.py",
}
#: Of each limit, its number and the error.
ROWS: Final = {path: (int(number.replace(",", "")), error) for path, number, error in ROW.findall(PAGE)}


def test_each_limit_of_the_page_has_a_case() -> None:
    assert BEYOND.keys() | ELSEWHERE.keys() == ROWS.keys()
    assert not BEYOND.keys() & ELSEWHERE.keys()
    for path, file in ELSEWHERE.items():
        assert path.rpartition(".")[2] in (TESTS / file).read_text(encoding="utf-8"), path


async def refusal(path: str, at: Furnished) -> str:
    """Return the error that one more than a limit ends with."""

    async def beyond() -> None:
        await carried_out(BEYOND[path](at, ROWS[path][0] + 1))

    (end,) = await asyncio.gather(beyond(), return_exceptions=True)
    return type(end).__name__


@pytest.mark.parametrize("part", range(PARTS))
async def test_one_more_than_a_limit_is_refused_by_its_error(livingworld: LivingWorld, part: int) -> None:
    at = await furnish(livingworld)
    paths = sorted(BEYOND)[part::PARTS]

    assert {path: await refusal(path, at) for path in paths} == {path: ROWS[path][1] for path in paths}
