from __future__ import annotations

from livingworld import Distribution, LivingWorld, NewScene, Story, World
from livingworld.observability.instruments import ALL
from livingworld.observability.prometheus import prometheus_name, prometheus_text
from tests.support.metrics_listing import GUIDE, LISTED, exported_names, families_of, names_in, refuse_unlisted


async def play(world: World, story: Story) -> None:
    await world.stories.append_scene(story.id, NewScene("one"))
    async with world.turns.take(story.id, request_key="k") as turn:
        turn.describe(model='a "model" \\ of\u00a0mine')
        await turn.record("A lantern.", input_tokens=3)
        await turn.commit(NewScene("A lantern."))


async def test_a_scraper_reads_what_the_reference_lists(livingworld: LivingWorld, world: World, story: Story) -> None:
    await play(world, story)
    seen = livingworld.metrics()
    families = families_of(prometheus_text(seen))

    assert {prometheus_name(each).removesuffix("_total") for each in ALL} == LISTED.keys()
    assert {prometheus_name(each.instrument).removesuffix("_total") for each in seen.series} == families.keys()
    refuse_unlisted(families)


async def test_a_scraper_reads_the_numbers_of_the_snapshot(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    await play(world, story)
    seen = livingworld.metrics()
    families = families_of(prometheus_text(seen))

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
    named = names_in(GUIDE)

    assert len(named) > 15
    assert named <= exported_names()
