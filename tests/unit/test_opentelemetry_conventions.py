"""The instruments that have names of OpenTelemetry's conventions are as these say, and so does its own package."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from opentelemetry.semconv._incubating.metrics import db_metrics, gen_ai_metrics

from livingworld.observability.histogram import BOUNDS
from livingworld.observability.instruments import ALL, Instrument, Kind
from livingworld.observability.metrics import CONSTANT
from livingworld.observability.opentelemetry_spans import MEMORY_OPERATIONS, about
from livingworld.observability.prometheus import bounds_of
from livingworld.postgres.transactions.unit_meter import server_of
from livingworld.settings.database_url import parse_url
from livingworld.story.turns.model_meter import OPERATION
from tests.support.opentelemetry_conventions import INSTRUMENTS, SPAN_OPTIONAL, SPAN_REQUIRED, VALUES

#: A gauge is exported as a sum that may fall.
KINDS = {Kind.COUNTER: "counter", Kind.GAUGE: "updowncounter", Kind.HISTOGRAM: "histogram"}
TAKEN = [each for each in ALL if not each.name.startswith("livingworld.")]

pytestmark = pytest.mark.any_server


@pytest.mark.parametrize("instrument", TAKEN, ids=lambda each: each.name)
def test_an_instrument_with_a_name_of_the_conventions_is_as_they_say(instrument: Instrument) -> None:
    convention = INSTRUMENTS[instrument.name]
    attributes = {*instrument.attributes, *CONSTANT.get(instrument, {})}

    assert (KINDS[instrument.kind], instrument.unit) == (convention.kind, convention.unit)
    assert convention.required <= attributes <= convention.required | convention.optional
    assert not convention.bounds or bounds_of(instrument) == convention.bounds
    for name, value in CONSTANT.get(instrument, {}).items():
        assert name not in VALUES or value in VALUES[name]


def test_every_convention_of_the_table_is_used() -> None:
    assert {each.name for each in TAKEN} == INSTRUMENTS.keys()


@pytest.mark.parametrize("instrument", ALL, ids=lambda each: each.name)
def test_no_value_falls_into_a_wrong_bucket_of_an_export(instrument: Instrument) -> None:
    assert set(bounds_of(instrument)) <= set(BOUNDS)


class Meter:
    """Takes what the package of the conventions would make."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[str, str]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kind = name.removeprefix("create_").replace("_", "")

        def make(name: str, description: str, unit: str) -> str:
            self.made[name] = (kind, unit)
            return description

        return make


def test_the_table_is_what_the_package_of_the_conventions_makes() -> None:
    meter = Meter()
    for module in (db_metrics, gen_ai_metrics):
        for name, create in vars(module).items():
            if name.startswith("create_"):
                create(meter)

    for name, convention in INSTRUMENTS.items():
        if name in meter.made:  # what is stable has a name there, and nothing that makes it
            assert meter.made[name] == (convention.kind, convention.unit)
    assert len(INSTRUMENTS.keys() - meter.made.keys()) <= 1


def published() -> set[str]:
    """Return the name of every attribute that the package has."""
    found: set[str] = set()
    for area in ("db", "error", "server", "gen_ai", "network"):
        module = import_module(f"opentelemetry.semconv._incubating.attributes.{area}_attributes")
        found |= {value for value in vars(module).values() if isinstance(value, str)}
    return found


def test_every_attribute_of_the_table_is_published() -> None:
    named = frozenset().union(*(each.required | each.optional for each in INSTRUMENTS.values()))

    assert (named | SPAN_REQUIRED | SPAN_OPTIONAL) - published() == set()


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("postgresql://of-me@db.example/stories", ("stories", "db.example", "")),
        ("postgresql://of-me@db.example:5432/stories", ("stories", "db.example", "")),
        ("postgresql://of-me@db.example:6432/stories", ("stories", "db.example", "6432")),
        ("postgresql://of-me@/stories?host=/run/postgresql&port=5433", ("stories", "/run/postgresql", "5433")),
        ("postgresql://of-me@one,two/stories", ("stories", "", "")),
        ("postgresql:///stories", ("stories", "", "")),
    ],
)
def test_a_server_is_named_where_only_one_can_have_answered(url: str, server: tuple[str, str, str]) -> None:
    assert server_of(parse_url(url)) == server


def test_a_span_begins_with_what_a_sampler_may_ask_for() -> None:
    seen = about("stories.append_scene")

    assert seen == {"db.system.name": "postgresql", "db.operation.name": "stories.append_scene"}
    assert about("memories.recall").items() >= {"gen_ai.operation.name": "search_memory"}.items()
    assert {*MEMORY_OPERATIONS.values(), OPERATION, "embeddings"} <= VALUES["gen_ai.operation.name"]
