from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags, use_span

from livingworld import LivingWorld, NewScene, Story, World
from livingworld.errors import StaleHead
from livingworld.postgres.transactions.unit_meter import server_of
from livingworld.settings.database_url import parse_url
from livingworld.story.stories.repository import StoryRepository
from livingworld.testing.staged_races import holding
from livingworld.tracing import ROOMS, public_classes, trace_calls
from site_generator.surface import surface
from tests.support.opentelemetry_conventions import SPAN_OPTIONAL, SPAN_REQUIRED
from tests.support.patience import patiently, until
from tests.support.run_role import url_of_the_run
from tests.support.staging import THE_STORY

SECRET = "a canary of a lantern"
NOT_SAMPLED = NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True, trace_flags=TraceFlags(0)))


class Spans:
    def __init__(self) -> None:
        self.provider = TracerProvider(sampler=ALWAYS_ON)  # whatever the parent says
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("application")

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]


@pytest.fixture
def spans() -> Iterator[Spans]:
    found = Spans()
    with trace_calls(found.provider):
        yield found
    found.provider.shutdown()


async def test_a_call_continues_the_callers_trace_and_has_ids_and_no_text(
    livingworld: LivingWorld, world: World, story: Story, spans: Spans
) -> None:
    with spans.tracer.start_as_current_span("click") as click:
        scene = NewScene(SECRET)
        await asyncio.gather(*(world.stories.append_scene(story.id, scene) for _ in range(3)))
    appends = spans.named("stories.append_scene")

    assert len(appends) == 3
    for append in appends:
        seen = append.attributes or {}
        assert append.parent is not None
        assert append.parent.span_id == click.get_span_context().span_id
        assert seen["livingworld.world.id"] == str(world.id)
        assert seen["livingworld.story.id"] == str(story.id)
        assert 1 <= int(str(seen["livingworld.group.size"])) <= 3
        assert float(str(seen["livingworld.queue.duration"])) > 0
        assert float(str(seen["livingworld.server.duration"])) > 0


async def test_a_span_is_one_of_a_client_of_a_database_by_the_conventions(
    world: World, story: Story, database_url: str, spans: Spans
) -> None:
    await world.memories.recall(story.id, "a lantern")
    (recall,) = spans.named("memories.recall")
    seen, url = dict(recall.attributes or {}), parse_url(url_of_the_run(database_url))
    name, host, port = server_of(url)

    assert recall.kind is SpanKind.CLIENT
    assert {attribute for attribute in seen if attribute.startswith(("db.", "server.", "error."))} <= (
        SPAN_REQUIRED | SPAN_OPTIONAL
    )
    assert seen["db.system.name"] == "postgresql"
    assert seen["db.operation.name"] == "memories.recall"
    assert seen["gen_ai.operation.name"] == "search_memory"
    assert (seen["db.namespace"], seen["server.address"], seen.get("server.port", "")) == (
        name,
        host,
        port and int(port),
    )


async def test_what_is_called_in_a_block_stands_below_it_and_no_span_has_a_text(
    livingworld: LivingWorld, world: World, story: Story, spans: Spans
) -> None:
    with spans.tracer.start_as_current_span("click") as click:
        async with world.turns.take(story.id, request_key=SECRET, player=SECRET, instruction=SECRET) as turn:
            await turn.record(SECRET)
            await turn.commit(NewScene(SECRET, cast=[SECRET]))
        with pytest.raises(RuntimeError):
            async with world.transaction() as tx:
                await tx.stories.update(story.id, expected_version=1, title=SECRET)
                raise RuntimeError(SECRET)

    assert {span.context.trace_id for span in spans.all() if span.context} == {click.get_span_context().trace_id}
    (take,), (commit,) = spans.named("turns.take"), spans.named("turn.commit")
    assert commit.parent is not None
    assert take.context is not None
    assert commit.parent.span_id == take.context.span_id
    (block,) = spans.named("world.transaction")
    assert block.status.status_code is StatusCode.ERROR
    assert SECRET not in " ".join(span.to_json() for span in spans.all())


async def test_retries_and_the_wait_for_a_lock_are_in_the_span(
    livingworld: LivingWorld, world: World, story: Story, database_url: str, spans: Spans
) -> None:
    async with holding(database_url, THE_STORY, [world.id, story.id]):
        waiting = asyncio.create_task(world.stories.update(story.id, expected_version=1, title="late"))
        await until(lambda: livingworld.metrics().total("livingworld.unit.lock_queue") == 1)
    async with patiently():
        await waiting
    with pytest.raises(StaleHead):
        await world.stories.append_scene(story.id, NewScene("late"), expected_head=7)
    (update,), (append,) = spans.named("stories.update"), spans.named("stories.append_scene")

    seen = update.attributes or {}
    assert int(str(seen["livingworld.retries"])) >= 1
    assert float(str(seen["livingworld.lock.duration"])) > 0
    assert (append.attributes or {})["error.type"] == "StaleHead"
    assert append.status.status_code is StatusCode.UNSET, "a conflict is an answer"


async def test_a_call_of_a_trace_that_is_not_sampled_has_no_span(world: World, story: Story, spans: Spans) -> None:
    with use_span(NOT_SAMPLED):
        await world.stories.append_scene(story.id, NewScene("on"))
        async with world.turns.take(story.id, request_key="k") as turn:
            await turn.commit(NewScene("on"))

    assert spans.all() == []


async def test_each_call_of_a_task_belongs_to_the_trace_that_it_is_made_in(
    world: World, story: Story, spans: Spans
) -> None:
    async def head_below(caller: Span) -> None:
        with use_span(caller):
            await world.stories.head(story.id)

    traces = [spans.tracer.start_span(f"click {number}") for number in range(2)]
    for caller in (NOT_SAMPLED, traces[0], NOT_SAMPLED, traces[1], traces[0], NOT_SAMPLED):
        await head_below(caller)
    await world.stories.head(story.id)

    found = [span.context and span.context.trace_id for span in spans.named("stories.head")]
    own = [trace.get_span_context().trace_id for trace in (traces[0], traces[1], traces[0])]
    assert found[:-1] == own
    assert len(set(found)) == 3, "without a caller it has a trace of its own"


async def test_every_public_class_has_its_spans_under_the_name_of_its_room() -> None:
    found = await surface()

    assert {kind.__name__ for kind in public_classes()} | {"WorldRepository"} == ROOMS.keys()
    for rooms in (found.livingworld, found.world, found.tx):
        for name, room in rooms.items():
            kinds = [kind for kind in type(room).__mro__ if kind.__name__ in ROOMS]
            assert {ROOMS[kind.__name__] for kind in kinds} == {name}


def test_the_classes_are_as_they_were_after_the_block() -> None:
    before = dict(vars(StoryRepository))
    with trace_calls():
        assert vars(StoryRepository)["append_scene"] is not before["append_scene"]

    assert dict(vars(StoryRepository)) == before
