"""The blocking API: the same calls, blocks and iterators, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import pytest

from livingworld import LiveEvent, NewScene, NewState, Story
from livingworld.errors import AlreadyInTransaction, CallTimeout, Closed, InvalidType, StoryNotFound, WrongThread
from livingworld.identifiers import new_id
from livingworld.sync import LivingWorld, TransactionScope, World, deadline

THREADS: Final = 8


@pytest.fixture
def livingworld(database_url: str) -> Iterator[LivingWorld]:
    with LivingWorld.open(database_url=database_url) as opened:
        yield opened


@pytest.fixture
def world(livingworld: LivingWorld) -> World:
    return livingworld.worlds.create("Saltmarsh")


@pytest.fixture
def story(world: World) -> Story:
    return world.stories.create("The Causeway")


def test_a_turn_is_taken_and_committed_in_a_block(world: World, story: Story) -> None:
    with world.turns.take(story.id, request_key="1", instruction="begin") as turn:
        scene = turn.commit(NewScene("Fog.", cast=["Mara"]), NewState(facts={("Mara", "mood"): "wary"}))

    assert world.stories.head(story.id).scene == scene
    with pytest.raises(ZeroDivisionError), world.turns.take(story.id, request_key="2"):
        raise ZeroDivisionError
    with world.turns.take(story.id, request_key="3") as turn:  # the failed block has given the branch back
        assert turn.commit(NewScene("Rain.")).number == 2


def test_a_transaction_is_committed_or_rolled_back_with_its_block(world: World, story: Story) -> None:
    with world.transaction() as tx:
        tx.stories.append_scene(story.id, NewScene("One."))
        with pytest.raises(AlreadyInTransaction):
            world.stories.get(story.id)
        tx.characters.get_or_create("Mara")
    with pytest.raises(ZeroDivisionError), world.transaction() as tx:
        tx.stories.append_scene(story.id, NewScene("never"))
        raise ZeroDivisionError

    assert world.stories.get(story.id).scene_count == 1
    assert world.characters.find("Mara") is not None


def test_a_function_of_the_application_runs_in_a_transaction(world: World, story: Story) -> None:
    def work(tx: TransactionScope) -> int:
        tx.stories.append_scene(story.id, NewScene("One."))
        return tx.stories.get(story.id).scene_count

    def fail(tx: TransactionScope) -> None:
        tx.stories.append_scene(story.id, NewScene("never"))
        raise ZeroDivisionError

    assert world.run(work, request_key="once") == world.run(work, request_key="once") == 1
    with pytest.raises(ZeroDivisionError):
        world.run(fail)
    with pytest.raises(InvalidType):
        world.run(None)  # type: ignore[arg-type]
    assert world.live.snapshot(lambda tx: tx.stories.get(story.id).scene_count, story=story.id).state == 1


def test_a_task_and_its_work_and_a_cycle_run_functions_of_the_application(world: World) -> None:
    session = world.sessions.open(player="tom")
    with world.tasks.running(session, "narrate") as running:
        running.result = running.while_running(lambda: {"thread": threading.current_thread().name})
        assert not running.lost.is_set()
        assert not running.cancel_requested.wait(timedelta(0))
    assert world.tasks.get(running.task.id).result == {"thread": "livingworld function"}
    run = world.cycles.run("tide", {"rise": lambda _: {"level": 2}})
    assert run is not None
    assert run.state == "done"


def test_events_are_iterated_over_in_a_loop(world: World, story: Story) -> None:
    with world.live.subscribe(story=story.id) as events:
        for text in ("One.", "Two."):
            world.stories.append_scene(story.id, NewScene(text))
        numbers = [event.number for _, event in zip(range(2), events, strict=False) if isinstance(event, LiveEvent)]
    assert numbers == [1, 2]
    world.documents.increment("gold")
    watched = world.documents.watch("gold")
    assert next(watched).version == 1


def test_an_error_comes_out_as_it_is(world: World) -> None:
    with pytest.raises(StoryNotFound):
        world.stories.get(new_id())


def test_a_deadline_bounds_the_calls_of_its_thread(world: World, story: Story) -> None:
    with deadline(timedelta(0)), pytest.raises(CallTimeout):
        world.stories.get(story.id)
    assert world.stories.get(story.id).id == story.id


def test_eight_threads_share_one_livingworld(world: World, story: Story) -> None:
    together = threading.Barrier(THREADS)

    def play(player: int) -> int:
        together.wait()
        for number in range(10):
            world.documents.increment("clicks")
            with world.turns.take(story.id, request_key=f"{player}-{number}", busy="queue") as turn:
                turn.commit(NewScene(f"{player}-{number}"))
            with world.transaction() as tx:
                tx.documents.increment("both")
                tx.interactions.recent(new_id())
        return player

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(play, range(THREADS))) == list(range(THREADS))
    assert world.stories.get(story.id).scene_count == THREADS * 10
    assert world.documents.read("clicks").value == world.documents.read("both").value == THREADS * 10
    texts = {scene.content for scene in world.stories.scenes(story.id, limit=1000).items}
    assert len(texts) == THREADS * 10


def test_a_call_that_waits_ends_when_another_thread_closes(database_url: str) -> None:
    livingworld = LivingWorld.connect(database_url=database_url)
    world = livingworld.worlds.create("Saltmarsh")
    with world.live.subscribe() as events, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, events)
        livingworld.close()
        with pytest.raises(Closed):
            waiting.result()
        livingworld.close()
        with pytest.raises(Closed):
            world.stories.list()


def test_a_call_in_the_thread_of_the_loop_is_refused(world: World) -> None:
    raised: list[Exception] = []

    def change(value: object) -> object:
        try:
            world.documents.list()
        except WrongThread as error:
            raised.append(error)
        return value

    world.documents.increment("gold")
    world.documents.update("gold", change)
    assert len(raised) == 1
