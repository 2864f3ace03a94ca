"""The listing of metrics, beside a demo that runs: what a scraper reads is what was played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from time import perf_counter
from typing import Final

import httpx
import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import Metric
from prometheus_client.samples import Sample

from livingworld import LivingWorld
from livingworld.demo.branching_story import demo_story
from livingworld.demo.plan import plan_from_story
from livingworld.demo.players import Ledger, perform
from livingworld.demo.report import Report, read_report
from livingworld.observability.prometheus import CONTENT_TYPE, prometheus_text
from livingworld.testing.staged_races import connected
from tests.support.metrics_listing import families_of, panels, refuse_unlisted
from tests.support.patience import until

#: A scrape: the families of each application.
Scrape = tuple[dict[str, Metric], ...]
SCRAPED_EACH: Final = timedelta(seconds=0.2)
#: The demo's model tells no tokens, and nobody follows its stories or is paused.
NOT_PLAYED: Final = {"tokens a second", "leases lost a second", "further tries a second"}
FIRST_WORDS: Final = {
    *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET"),
    *("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "DECLARE", "FETCH", "CLOSE"),
}
FUNCTIONS: Final = "SELECT proname FROM pg_proc WHERE pronamespace = 'livingworld'::regnamespace"


async def test_what_is_scraped_from_a_running_demo_is_what_it_played(database_url: str) -> None:
    async with (
        LivingWorld.open(database_url=database_url) as one,
        LivingWorld.open(database_url=database_url) as other,
        scraped_at(one, other) as urls,
    ):
        report, scrapes = await played(database_url, [one, other], urls)

    assert not report.broken
    assert len(scrapes) > 3
    for scrape in scrapes:
        for families in scrape:
            refuse_unlisted(families)
    for former, later in pairwise(scrapes):
        assert fallen(former, later) == []
    compare_with_the_tables(scrapes[-1], report)
    compare_with_the_panels(scrapes[-1])
    assert {"take_turn", "commit_turn"} <= named_in(scrapes[-1]) <= await functions_of(database_url) | FIRST_WORDS


def compare_with_the_tables(last: Scrape, report: Report) -> None:
    """The report was counted by SQL, and by the players."""
    assert total(last, "livingworld_turn_duration_seconds_count", outcome="committed") == report.scenes_written
    assert total(last, "livingworld_turn_requests_total", outcome="not granted") == report.conflicts_refused > 0
    assert total(last, "livingworld_conflicts_total", error_type="StaleHead") == report.conflicts_refused
    assert total(last, "livingworld_turn_requests_total", outcome="replayed") > 0, "clicks are doubled"
    assert total(last, "livingworld_turn_waiting") == total(last, "livingworld_group_waiting") == 0


def compare_with_the_panels(last: Scrape) -> None:
    scraped = {each.name for families in last for family in families.values() for each in family.samples}

    assert panels().keys() > NOT_PLAYED
    for panel, names in panels().items():
        assert names
        assert panel in NOT_PLAYED or names <= scraped, panel


async def played(url: str, applications: list[LivingWorld], urls: list[str]) -> tuple[Report, list[Scrape]]:
    """Play the demo, and scrape each application again and again."""
    plan, ledger, began = plan_from_story(demo_story(), players=3, writers=3), Ledger(), perf_counter()
    world = await applications[0].worlds.create("Saltmarsh")
    worlds = [world, *[await each.worlds.get(world.id) for each in applications[1:]]]
    async with httpx.AsyncClient() as client:
        playing = asyncio.create_task(perform(worlds, plan, ledger, lambda: None))
        scrapes = [await scrape(client, urls)]
        while not playing.done():
            await asyncio.wait([playing], timeout=SCRAPED_EACH.total_seconds())
            scrapes.append(await scrape(client, urls))
        await playing

        async def is_calm() -> bool:
            """Who left the line takes no answer along, and is counted until the server has said so."""
            scrapes.append(await scrape(client, urls))
            return total(scrapes[-1], "livingworld_calls_unanswered", db_client_connection_pool_name="work") == 0

        await until(is_calm)
    elapsed = timedelta(seconds=perf_counter() - began)
    return await read_report(url, world.id, plan, ledger, elapsed), scrapes


async def scrape(client: httpx.AsyncClient, urls: list[str]) -> Scrape:
    pages = [(await client.get(url)).raise_for_status() for url in urls]
    assert {page.headers["content-type"] for page in pages} == {CONTENT_TYPE}
    return tuple(families_of(page.text) for page in pages)


@asynccontextmanager
async def scraped_at(*applications: LivingWorld) -> AsyncIterator[list[str]]:
    """Serve the metrics of each application over HTTP, and give the addresses."""
    app = FastAPI()

    @app.get("/{number}/metrics")
    async def metrics(number: int) -> Response:
        return Response(prometheus_text(applications[number].metrics()), media_type=CONTENT_TYPE)

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield [f"http://127.0.0.1:{port}/{number}/metrics" for number in range(len(applications))]
    server.should_exit = True
    await serving


def named_in(last: Scrape) -> set[str]:
    """Return the names of the statements that were measured."""
    return {each.labels["db_operation_name"] for each in samples(last, "db_client_operation_duration_seconds_count")}


async def functions_of(url: str) -> set[str]:
    """Return the names of the functions of the database, as they are measured."""
    async with connected(url) as connection:
        return {name.rpartition("_v")[0] or name for (name,) in await connection.fetch(FUNCTIONS)}


def samples(last: Scrape, name: str) -> list[Sample]:
    """Return the series of a name, of all applications."""
    return [each for families in last for family in families.values() for each in family.samples if each.name == name]


def total(last: Scrape, name: str, **labels: str) -> float:
    """Return the sum over all applications and series with these labels."""
    found = samples(last, name)
    assert found, f"{name} was not scraped"
    return sum(float(each.value) for each in found if labels.items() <= each.labels.items())


def fallen(former: Scrape, later: Scrape) -> list[str]:
    """Return what counts, and fell from one scrape to the next."""
    pairs = [(counts_of(before), counts_of(after)) for before, after in zip(former, later, strict=True)]
    return [name for before, after in pairs for name, count in before.items() if after.get(name, -1) < count]


def counts_of(families: dict[str, Metric]) -> dict[str, float]:
    """Return the counters of an application, and the counts and sums of its histograms, by name and labels."""
    counting = [family for family in families.values() if family.type in {"counter", "histogram"}]
    return {f"{each.name} {each.labels}": each.value for family in counting for each in family.samples}
