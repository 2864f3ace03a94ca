from __future__ import annotations

import random

import pytest

from livingworld.errors import InvalidInput
from livingworld.observability.histogram import BOUNDS, Distribution, Histogram
from livingworld.observability.instruments import ALL, Instrument, Kind, declare
from livingworld.observability.metrics import MOST_READERS, MOST_SERIES, OTHER, Metrics
from livingworld.observability.snapshot import Value

EVENTS = declare(Kind.COUNTER, "test.events", "{event}", "kind", "Events.")
TIMES = declare(Kind.HISTOGRAM, "test.times", "s", "", "Times.")
LENGTH = declare(Kind.GAUGE, "test.length", "{item}", "", "A length.")

pytestmark = pytest.mark.any_server


def values(metrics: Metrics, reader: str | None = None) -> dict[Instrument, dict[tuple[str, ...], Value]]:
    found: dict[Instrument, dict[tuple[str, ...], Value]] = {}
    for series in metrics.snapshot(reader).series:
        found.setdefault(series.instrument, {})[tuple(series.attributes.values())] = series.value
    return found


def test_a_percentile_is_within_its_promise_and_the_ends_are_exact() -> None:
    histogram, numbers = Histogram(), sorted(random.lognormvariate(-6, 2) for _ in range(5000))
    for number in numbers:
        histogram.record(number)
    seen = histogram.take()

    assert (seen.count, seen.minimum, seen.maximum) == (5000, numbers[0], numbers[-1])
    assert seen.sum == pytest.approx(sum(numbers))
    for percent in (1, 10, 50, 90, 99, 99.9):
        assert seen.percentile(percent) == pytest.approx(numbers[round(5000 * percent / 100) - 1], rel=0.045)
    assert (seen.percentile(0), seen.percentile(100)) == (numbers[0], numbers[-1])


def test_a_bound_counts_what_equals_it() -> None:
    histogram = Histogram()
    for number in (0.001, 0.0025, 0.0026, 0, 1e9):
        histogram.record(number)
    seen = histogram.take()

    assert [seen.at_most(bound) for bound in (0.001, 0.0025, 0.005)] == [2, 3, 4]
    assert seen.count == 5
    assert 0.0025 in BOUNDS


def test_nothing_recorded_has_no_percentile() -> None:
    assert Histogram().take() == Distribution()
    assert Distribution().percentile(50) is None


def test_readers_see_their_own_intervals_and_take_nothing_from_each_other() -> None:
    metrics = Metrics()
    given = {"one": 0.0, "two": 0.0}
    for step in range(1, 50):
        metrics.add(EVENTS, step, "a")
        metrics.record(TIMES, step)
        reader = random.choice(["one", "two"])
        seen = values(metrics, reader)
        times = seen[TIMES][()]
        assert isinstance(times, Distribution)
        assert times.maximum == step
        assert times.sum == seen[EVENTS]["a",]
        given[reader] += times.sum
    for reader, before in given.items():
        last = values(metrics, reader)[EVENTS]["a",]
        assert isinstance(last, int | float)
        assert before + last == sum(range(1, 50))
    assert values(metrics)[EVENTS] == {("a",): sum(range(1, 50))}


def test_an_interval_has_its_own_extremes() -> None:
    metrics = Metrics()
    metrics.record(TIMES, 100)
    values(metrics, "one")
    metrics.record(TIMES, 2)
    interval, whole = values(metrics, "one")[TIMES][()], values(metrics)[TIMES][()]

    assert isinstance(interval, Distribution)
    assert isinstance(whole, Distribution)
    assert (interval.minimum, interval.maximum, interval.count) == (2, 2, 1)
    assert (whole.minimum, whole.maximum, whole.count) == (2, 100, 2)


def test_a_gauge_is_read_at_the_snapshot() -> None:
    metrics, items = Metrics(), [1, 2]
    metrics.observe(LENGTH, lambda: len(items))
    items.append(3)

    assert values(metrics)[LENGTH] == {(): 3}


def test_series_and_readers_are_limited() -> None:
    metrics = Metrics()
    for number in range(MOST_SERIES + 5):
        metrics.add(EVENTS, 1, str(number))
    for number in range(MOST_READERS):
        values(metrics, str(number))

    assert values(metrics)[EVENTS][OTHER,] == 5
    with pytest.raises(InvalidInput, match="reader: is a further one"):
        values(metrics, "one more")


def test_an_instrument_is_used_as_it_is_declared() -> None:
    with pytest.raises(TypeError, match=r"test\.events"):
        Metrics().add(EVENTS, 1)
    with pytest.raises(TypeError, match=r"test\.events"):
        Metrics().record(EVENTS, 1, "a")


def test_names_are_unique_and_follow_the_conventions() -> None:
    names = [each.name for each in ALL]

    assert len(set(names)) == len(names)
    assert all(name.startswith(("livingworld.", "db.client.", "gen_ai.")) for name in names)
