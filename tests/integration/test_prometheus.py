from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from livingworld import Distribution, LivingWorld, NewScene, Story, World
from livingworld.observability.instruments import ALL, Kind
from livingworld.observability.prometheus import prometheus_name, prometheus_text
from site_generator.reference import filled

DOCS: Final = Path(__file__).parents[2] / "docs"
#: A row of the reference: the name for Prometheus, the kind, and the attributes.
ROW: Final = re.compile(r"^\| `[\w.]+` \| `(\w+)` \| (\w+) \| [^|]+ \| ([^|]*) \|", re.MULTILINE)
#: Constant for all series of a client, and the bound of a bucket.
OF_ALL: Final = {"db_system_name", "gen_ai_provider_name", "le"}


async def play(world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    async with world.turns.take(story.id, request_key="k") as turn:
        turn.describe(model='a "model" \\ of\u00a0mine')
        await turn.record("A lantern.", input_tokens=3)
        await turn.commit(NewScene("A lantern."))


async def test_a_scraper_reads_what_the_reference_lists(livingworld: LivingWorld, world: World, story: Story) -> None:
    await play(world, story)
    seen = livingworld.metrics()
    families = {family.name: family for family in text_string_to_metric_families(prometheus_text(seen))}
    listed = {
        name.removesuffix("_total"): (kind, set(re.findall(r"`([\w.]+)`", attributes)))
        for name, kind, attributes in ROW.findall(filled((DOCS / "reference/metrics.md").read_text()))
    }

    assert {prometheus_name(each).removesuffix("_total") for each in ALL} == listed.keys()
    assert {prometheus_name(each.instrument).removesuffix("_total") for each in seen.series} == families.keys()
    for name, family in families.items():
        kind, attributes = listed[name]
        assert family.type == kind
        assert {label for each in family.samples for label in each.labels} - OF_ALL <= {
            attribute.replace(".", "_") for attribute in attributes
        }


async def test_a_scraper_reads_the_numbers_of_the_snapshot(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    await play(world, story)
    seen = livingworld.metrics()
    families = {family.name: family for family in text_string_to_metric_families(prometheus_text(seen))}

    for series in seen.series:
        name = prometheus_name(series.instrument)
        labels = {key.replace(".", "_"): text for key, text in series.attributes.items()}
        samples = families[name.removesuffix("_total")].samples
        found = {each.name: each.value for each in samples if each.labels == labels}
        if isinstance(series.value, Distribution):
            assert found == {f"{name}_sum": series.value.sum, f"{name}_count": series.value.count}
            buckets = [each.value for each in samples if {**each.labels, "le": ""} == {**labels, "le": ""}][:-2]
            assert buckets == sorted(buckets), "they are cumulative"
            assert buckets[-1] == series.value.count
        else:
            assert found == {name: series.value}


def test_the_queries_of_the_guide_name_what_is_exported() -> None:
    page = (DOCS / "guides/metrics.md").read_text()
    named = set(re.findall(r"\b(?:livingworld|db_client|gen_ai)_\w+", page))
    names = {prometheus_name(each) for each in ALL if each.kind is not Kind.HISTOGRAM}
    histograms = {prometheus_name(each) for each in ALL if each.kind is Kind.HISTOGRAM}
    labels = {attribute.replace(".", "_") for each in ALL for attribute in each.attributes}

    assert len(named) > 15
    assert named <= names | labels | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
