"""A call that goes one beyond each limit of the page of limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from livingworld import (
    CastMember,
    ConflictPolicy,
    NewAction,
    NewLoreEntry,
    NewMemory,
    NewScene,
    RelationshipChange,
    Rule,
    Subject,
    Turn,
)
from livingworld.story.lore.lorebooks import read_lorebook
from livingworld.testing.hashing_embedder import HashingEmbedder
from tests.support.every_call import do_nothing
from tests.support.every_write import NEW, Furnished

#: Makes a call that goes beyond a limit.
Call = Callable[[Furnished, int], Any]


def item(path: str, call: Call) -> tuple[str, Call]:
    return f"livingworld.{path}", call


def text(length: int) -> str:
    return "x" * length


async def within_a_turn(at: Furnished, act: Callable[[Turn], Any]) -> None:
    async with at.world.turns.take(at.story.id, request_key="beyond") as turn:
        await carried_out(act(turn))


async def enqueue_into_one_lane(at: Furnished, count: int) -> None:
    await at.world.actions.enqueue_many([NewAction("full", "walk")] * (count - 1))
    await at.world.actions.enqueue("full", "walk")


def rendered(at: Furnished, count: int) -> object:
    body = "{{ 'x' * count }}{{ 'x' * (all - count) }}"
    return at.world.scripts.check("x", body, kind="jinja2").compiled.render(count=count // 2, all=count)


def noted(at: Furnished, metadata: object) -> Awaitable[object]:
    return at.world.stories.append_scene(at.story.id, NewScene("x", metadata=metadata))  # type: ignore[arg-type]


#: What goes beyond, by the limit's path; it is given the first number that is too large.
BEYOND: Final[dict[str, Call]] = dict(
    [
        item("live.live.MAX_BUFFER", lambda at, n: at.world.live.subscribe(buffer=n)),
        item(
            "coordination.sessions.world_tasks.MAX_AT_ONCE",
            lambda at, n: at.world.tasks.taking_over(do_nothing, at_once=n),
        ),
        item(
            "coordination.actions.world_actions.MAX_CONCURRENCY",
            lambda at, n: at.world.actions.worker({"walk": do_nothing}, concurrency=n),
        ),
        item("inputs.MAX_CONTENT_CHARACTERS", lambda at, n: at.world.interactions.add(at.session.id, text(n))),
        item("inputs.MAX_RAW_RESPONSE_CHARACTERS", lambda _, n: NewScene("x", raw_response=text(n))),
        item("inputs.MAX_DESCRIPTION_CHARACTERS", lambda at, n: at.world.stories.create("x", premise=text(n))),
        item("inputs.MAX_CHOICE_CHARACTERS", lambda _, n: NewScene("x", [text(n)])),
        item("inputs.MAX_LABEL_CHARACTERS", lambda at, n: at.world.stories.create(text(n))),
        item("story.characters.name_key.MAX_NAME_CHARACTERS", lambda at, n: at.world.characters.get_or_create(text(n))),
        item(
            "story.characters.name_key.MAX_KEY_CHARACTERS",
            # One letter of eighteen in its canonical form.
            lambda at, n: at.world.characters.get_or_create("\ufdfa" * (n // 18 + 1)),
        ),
        item("inputs.MAX_JSON_CHARACTERS", lambda at, n: noted(at, {"a": text(n - len('{"a":""}'))})),
        item("live.publishing.MAX_EVENT_CHARACTERS", lambda at, n: published(at, {"a": text(n - len('{"a":""}'))})),
        item("postgres.keyset.MAX_PAGE_SIZE", lambda at, n: at.world.stories.list(limit=n)),
        item("postgres.transactions.contention.MOST_STORIES", lambda at, n: at.livingworld.contention(stories=n)),
        item("story.stories.new_scene.MAX_CHOICES", lambda _, n: NewScene("x", ["on"] * n)),
        item("story.stories.new_scene.MAX_CAST", lambda _, n: NewScene("x", (), list(map(CastMember, names(n))))),
        item(
            "story.turns.checked_request._MOST_RECENT",
            lambda at, n: at.world.turns.take(at.story.id, request_key="beyond", recent=n),
        ),
        item(
            "story.turns.turn_call._MAX_PARTS",
            lambda at, n: within_a_turn(at, lambda turn: turn.call("draft", prompt=dict.fromkeys(names(n), "x"))),
        ),
        item("story.characters.repository.MAX_NAMES", lambda at, n: at.world.characters.get_or_create_many(names(n))),
        item(
            "story.facts.new_facts.MAX_FACTS",
            lambda at, n: at.world.facts.set_many(at.story.id, {(Subject("x"), name): 1 for name in names(n)}),
        ),
        item(
            "story.relationships.repository.MAX_CHANGES",
            lambda at, n: at.world.relationships.adjust_many(
                at.story.id, [RelationshipChange(at.mara.id, at.tom.id)] * n
            ),
        ),
        item(
            "story.memories.repository.MAX_MEMORIES",
            lambda at, n: at.world.memories.add(at.story.id, [NewMemory("x")] * n),
        ),
        item("story.memories.recalling.MAX_RECALLED", lambda at, n: at.world.memories.recall(at.story.id, "x", k=n)),
        item(
            "story.memories.recalling.MAX_CANDIDATES",
            lambda at, n: at.world.memories.recall(at.story.id, "x", candidates=n),
        ),
        item("story.memories.embed_memories.MAX_JOBS", lambda at, n: at.world.memory_embeddings(NEW).run_once(n)),
        item(
            "models.embeddings.pipeline.MAX_TEXTS",
            lambda at, n: at.world.embeddings(HashingEmbedder()).embed(["x"] * n),
        ),
        item("models.embeddings.vectors.MAX_DIMENSIONS", lambda at, n: at.world.memories.use_embedder("large", n)),
        item("story.semantic_search.repository.MAX_FOUND", lambda at, n: found(at, k=n)),
        item("story.semantic_search.repository.MAX_CANDIDATES", lambda at, n: found(at, candidates=n)),
        item(
            "story.semantic_search.text_embeddings.MAX_TEXTS", lambda at, n: at.world.text_embeddings(NEW).run_once(n)
        ),
        item("story.lore.repository.MAX_ENTRIES", lambda at, n: at.world.lore.add_many([NewLoreEntry("x")] * n)),
        item(
            "story.lore.lorebooks.MAX_LOREBOOK_ENTRIES",
            lambda _, n: read_lorebook({"entries": [{"keys": ["x"], "content": "x"}] * n}),
        ),
        item("story.lore.records.MAX_KEYS", lambda at, n: at.world.lore.add(NewLoreEntry("x", names(n)))),
        item("story.lore.repository.MAX_TEXTS", lambda at, n: at.world.lore.match(["x"] * n)),
        item("story.lore.repository.MAX_RECURSION", lambda at, n: at.world.lore.match("x", recursion=n)),
        item("story.search.world_search.MAX_INDEXED", lambda at, n: at.world.search.index(n)),
        item(
            "coordination.actions.new_action.MAX_ACTIONS",
            lambda at, n: at.world.actions.enqueue_many([NewAction("x", "walk")] * n),
        ),
        item("coordination.actions.tables.MAX_WAITING", enqueue_into_one_lane),
        item(
            "coordination.actions.new_action.MAX_ATTEMPTS",
            lambda at, n: at.world.actions.enqueue("x", "walk", max_attempts=n),
        ),
        item(
            "coordination.actions.conflict_policy._MAX_RULES",
            lambda _, n: ConflictPolicy((Rule("walk", "walk", "merge"),) * n),
        ),
        item(
            "coordination.cycles.running._MOST_PHASES",
            lambda at, n: at.world.cycles.run("x", dict.fromkeys(names(n), do_nothing)),
        ),
        item(
            "models.scripts.repository.MAX_SCRIPTS",
            lambda at, n: at.world.scripts.publish_all([at.world.scripts.check("x", "It turns.")] * n),
        ),
        ("Settings.template_output_characters", rendered),
        ("Settings.template_characters", lambda at, n: at.world.scripts.check("x", text(n), kind="jinja2")),
    ]
)


def names(count: int) -> list[str]:
    return [f"name {number}" for number in range(count)]


async def published(at: Furnished, details: dict[str, str]) -> None:
    await at.world.run(lambda tx: tx.live.publish("seen", details))


def found(at: Furnished, **options: int) -> Awaitable[object]:
    return at.world.text_embeddings(NEW).find("x", **options)


async def carried_out(call: Any) -> None:  # noqa: ANN401 - what a call gives
    if isinstance(call, AbstractAsyncContextManager):
        async with call:
            pass
    elif isinstance(call, Awaitable):
        await call
