"""A person who left one word wherever a person can leave one, and where in a database the word is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, cast

from livingworld import (
    NewMemory,
    NewSample,
    NewScene,
    NewState,
    RelationshipChange,
    Story,
    Subject,
    TransactionScope,
    Turn,
    TurnInput,
    World,
)
from livingworld.schema import metadata
from livingworld.story.turns.checked_request import RequestOptions, checked_request
from livingworld.story.turns.records import BusyPolicy
from livingworld.story.turns.requests import TakeRequest
from livingworld.testing.hashing_embedder import HashingEmbedder
from livingworld.testing.staged_races import connected
from tests.support.turn_checks import joined, rows

#: What she is called, and what she says.
WORD: Final = "zanzibarq"
HERS: Final = {"player": WORD, "said": WORD}


async def leave_words(url: str, world: World, story: Story) -> None:
    """Let her play, talk, act and be there, each time with the word; and let another one play beside her."""
    async with world.live.subscribe(story=story.id):
        await world.presence.join(WORD, story=story.id)
        await world.live.publish("typing", HERS, story=story.id)
    await play_turns(url, world, story)
    await talk(world)
    await act(world)
    await world.ai_models.samples.add_many([NewSample(role=WORD, input=WORD, output=WORD, metadata=HERS)])
    await world.run(nothing_said, request_key=f"by-{WORD}-1")
    await world.run(nothing_said, request_key="another")
    await world.embeddings(HashingEmbedder()).embed([WORD])
    await world.search.index()


async def nothing_said(_: TransactionScope) -> str:
    """Return what is stored under a request key."""
    return WORD


async def play_turns(url: str, world: World, story: Story) -> None:
    """Play with every option, generate again, and edit what came of it; another one plays behind."""
    embeddings = world.memory_embeddings(HashingEmbedder())
    await embeddings.use()
    await play_first(world, story)
    await embeddings.run_all()
    await world.stories.edit_scene(story.id, 1, expected_version=2, content=f"{WORD}, edited")
    async with world.turns.take(story.id, request_key="tom-1", player="tom", instruction="Hello", choice=2) as turn:
        async with turn.call("planner", prompt={"before": WORD}):
            pass
        await turn.commit(NewScene("Tom's.", cast=["Mara", "Tom"]))
    await play_last(world, story)
    await rows(url, "UPDATE livingworld.memory_embedding_jobs SET error = $1", WORD)  # the embedder quotes it


async def play_first(world: World, story: Story) -> None:
    """Play a turn whose call fails, generate its scene again, and leave a third without a scene."""
    felt = [RelationshipChange("Mara", "Tom", trust=0.1, reason=WORD, kind=WORD, notes=WORD)]
    state = NewState(facts={(Subject("lamp"), "lit"): WORD}, relationships=felt, memories=[NewMemory(WORD, kind=WORD)])
    async with world.turns.take(story.id, request_key=f"{WORD}-1", player=WORD, instruction=WORD) as turn:
        turn.describe(model="large", parameters=HERS, prompt=WORD)
        with suppress(ZeroDivisionError):
            async with turn.call("planner", parameters=HERS, prompt={WORD: WORD}) as call:
                call.answer(WORD, input_tokens=3)
                raise ZeroDivisionError(WORD)
        await turn.record(WORD, input_tokens=7)
        await turn.commit(NewScene(WORD, [WORD, "go"], cast=["Mara", "Tom"]), state)
    async with world.turns.regenerate(story.id, request_key=f"{WORD}-2", player=WORD, instruction=WORD) as turn:
        await turn.commit(NewScene(WORD, [WORD, "go"], cast=["Mara", "Tom"]), state)
    with suppress(ZeroDivisionError):
        async with world.turns.take(story.id, request_key=f"{WORD}-3", player=WORD, instruction=WORD):
            raise ZeroDivisionError(WORD)


async def play_last(world: World, story: Story) -> None:
    """Play a turn with everything that a scene has, and one into which an input of Tom's was merged."""
    queue = world.turns._queue
    async with world.turns.take(story.id, request_key=f"{WORD}-4", player=WORD) as turn:
        hers, his = wish(story, f"{WORD}-8", WORD, "merge"), wish(story, "tom-3", "tom", "merge")
        await queue._ask(hers)
        await queue._merge(his, cast("Any", await queue._ask(his)), joined)
        scene = NewScene(WORD, [WORD], location=WORD, story_time=WORD, metadata=HERS, raw_response=WORD)
        await turn.commit(scene, NewState(memories=[NewMemory(f"again {WORD}")]))
    await queue._ask(hers)  # it is granted, with what was merged into it
    await queue._withdraw(hers)


async def talk(world: World) -> None:
    """Hold a session with an exchange, tasks and followers."""
    session, _ = await world.sessions.get_or_create(WORD, player=WORD, context=HERS)
    async with world.live.subscribe(session=session.id):
        await world.interactions.add(session.id, WORD, WORD, metadata=HERS)
    task = await world.tasks.create_unless_running(session.id, WORD, payload=HERS)
    await world.tasks.progress(task, HERS)
    await world.tasks.finish(task, HERS)
    failed = await world.tasks.create_unless_running(session.id, "draw")
    await world.tasks.cancel(failed.id, reason=WORD)
    await world.tasks.fail(failed, WORD)
    await world.tasks.create_unless_running(session.id, "tell")
    await world.presence.join(WORD, session=session.id)


async def act(world: World) -> None:
    """Queue actions that end in each way, one that runs, and one that waits."""
    await world.actions.enqueue("a", "walk", HERS)
    (done,) = await world.actions.claim(ttl=timedelta(minutes=5))
    await world.actions.complete(done, HERS)
    await world.actions.enqueue("b", "walk", HERS, max_attempts=1)
    (failed,) = await world.actions.claim(ttl=timedelta(minutes=5))
    await world.actions.fail(failed, WORD)
    await world.actions.cancel((await world.actions.enqueue("c", "walk", HERS)).id, reason=WORD)
    await world.actions.enqueue("d", "walk", HERS)
    await world.actions.claim(ttl=timedelta(minutes=5))
    await world.actions.enqueue("e", "walk", HERS)


@asynccontextmanager
async def playing(world: World, story: Story) -> AsyncIterator[Turn]:
    """Hold a turn of hers, behind which Tom's input waits with one of hers merged into it, and then another of hers."""
    queue = world.turns._queue
    async with world.turns.take(story.id, request_key=f"{WORD}-5", player=WORD, instruction=WORD) as turn:
        await turn.record(WORD)
        await queue._ask(wish(story, "tom-2", "tom", "merge"))
        hers = wish(story, f"{WORD}-6", WORD, "merge")
        leader = await queue._ask(hers)
        await queue._merge(hers, cast("Any", leader), joined)
        await queue._ask(wish(story, f"{WORD}-7", WORD, "queue"))
        yield turn


def wish(story: Story, key: str, player: str, busy: BusyPolicy) -> TakeRequest:
    """Return a request for a turn."""
    asked: RequestOptions = {"branch": None, "expected_head": None, "busy": busy, "replace_own": False}
    return checked_request(story.id, key, TurnInput(None, player, player), asked, recent=1)


async def columns_with_the_word(url: str) -> set[tuple[str, str]]:
    """Return table and column of each column that has the word in some row, in any spelling."""
    async with connected(url) as connection:
        return {
            (table.name, column.name)
            for table in metadata.tables.values()
            for column in table.columns
            if await connection.fetchval(
                f'SELECT EXISTS (SELECT FROM {table.fullname} t WHERE t."{column.name}"::text ILIKE $1)',  # noqa: S608
                f"%{WORD}%",
            )
        }
