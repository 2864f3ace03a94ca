"""What the application's own functions raise, and how their source reads, stands in no log: it may be a story."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, NoReturn

import pytest
import pytest_asyncio

from livingworld import LivingWorld, World
from livingworld.errors import LivingWorldError
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events
from tests.support.every_write import Furnished, furnish


class OfTheCaller(Exception):  # noqa: N818 - somebody's own
    """What the application raises."""


async def fail(*_: object) -> NoReturn:
    said = "the canary of the message"
    raise OfTheCaller(said)  # the canary of the source


async def in_block(block: Any) -> None:  # noqa: ANN401 - any block of a transaction
    async with block as tx:
        await fail(tx)


class FailingEmbedder:
    name = "failing"
    dimensions = 2

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return await fail(texts)


async def served(at: Furnished) -> None:
    async with at.world.ai_models.serving({"narrator": fail}, probe=fail) as host, host.pin("narrator"):
        pass


async def closed(at: Furnished) -> None:
    async def load(_: object) -> str:
        return "loaded"

    async def probe(_: object, __: object) -> None:
        """Find it well."""

    async with at.world.ai_models.serving({"narrator": load}, probe=probe, close=fail) as host, host.pin("narrator"):
        pass


async def taken_over(at: Furnished) -> None:
    async with at.world.tasks.running(
        at.session.id, "draw", dead_after=timedelta(milliseconds=100), when_owner_dies="take_over"
    ) as task:
        task._lease.end()
        async with at.world.tasks.taking_over(fail, every=timedelta(milliseconds=20)):
            await at.world.tasks.wait_cancelled(task.task)
            await at.world.tasks.wait_cancelled(await at.world.tasks.get(task.task.id))


async def played(at: Furnished) -> None:
    await at.world.turns.play(at.story.id, fail, request_key="k")


async def completed(at: Furnished) -> None:
    await at.world.actions.worker({"walk": lambda action: action.complete(fail)}).run_once()


async def worked(at: Furnished) -> None:
    await at.world.actions.worker({"walk": fail}).run_once()


async def embedded(at: Furnished) -> None:
    await at.world.embeddings(FailingEmbedder()).embed(["rain"])


WAYS: Final[dict[str, Callable[[Furnished], Awaitable[Any]]]] = {
    "run": lambda at: at.world.run(fail),
    "run, once": lambda at: at.world.run(fail, request_key="k"),
    "transaction": lambda at: in_block(at.world.transaction()),
    "locks": lambda at: in_block(at.world.locks.exclusive("tide")),
    "turn": played,
    "cycle": lambda at: at.world.cycles.run("tide", {"turn": fail}),
    "action": worked,
    "effect": completed,
    "task": lambda at: in_block(at.world.tasks.running(at.session.id, "draw")),
    "taking over": taken_over,
    "loader": served,
    "close": closed,
    "embedder": embedded,
}


@pytest_asyncio.fixture
async def there(database_url: str) -> AsyncIterator[Furnished]:
    async with LivingWorld.open(database_url=database_url) as livingworld:
        yield await furnish(livingworld)


@pytest.fixture(params=["structlog", "standard library"])
def said(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Give what was logged by anybody, with everything that a formatter could print of it."""
    caplog.set_level(logging.DEBUG)
    formatter = logging.Formatter()

    def lines() -> list[str]:
        gc.collect()  # what nobody recorded of is logged when it goes
        return [f"{formatter.format(record)} {vars(record)}" for record in caplog.records]

    if request.param == "structlog":
        with recorded_events() as recorded:
            yield lambda: lines() + [str((event.name, fields)) for event, fields in recorded.entries]
    else:
        yield lines


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("way", WAYS)
async def test_no_log_repeats_what_the_application_raises(
    there: Furnished, said: Callable[[], list[str]], capfd: pytest.CaptureFixture[str], way: str
) -> None:
    with suppress(OfTheCaller, LivingWorldError):
        await WAYS[way](there)

    out, err = capfd.readouterr()
    for line in [*said(), out, err]:
        assert "canary" not in line, line


async def test_the_class_of_the_callers_own_error_is_told_and_that_the_unit_was_rolled_back(world: World) -> None:
    with recorded_events() as recorded:
        with pytest.raises(OfTheCaller):
            await world.run(fail)
        with pytest.raises(OfTheCaller):
            await in_block(world.transaction())

    assert recorded.of(events.ROLLED_BACK) == [{"error": "OfTheCaller"}] * 2
    assert not recorded.of(events.FAILED)
