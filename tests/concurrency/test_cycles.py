"""Cycles: one instance in the whole world, gone on with where the last owner died, and no write by one overtaken."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from livingworld import Cycle, CycleRun, CycleStatus, LivingWorld, NewScene, Story, World
from livingworld.errors import AlreadyRunning, Fenced, InvalidInput
from tests.support.patience import patiently
from tests.support.staging import kinds, race, same_world
from tests.support.turn_checks import rows

PROGRAM = Path(__file__).with_name("cycle_program.py")
LEASE_SECONDS = 3600
THE_CYCLE = "SELECT FROM livingworld.cycles WHERE world_id = $1 AND name = $2 FOR UPDATE"


async def count(cycle: Cycle) -> int:
    """Return how many phases were before."""
    return len(cycle.results)


PHASES = {"plan": count, "do": count, "check": count, "act": count}


async def expire(url: str) -> None:
    await rows(url, "UPDATE livingworld.cycles SET expires_at = now() - interval '1 second' RETURNING 1")


async def test_phases_run_in_order_and_their_results_are_kept(world: World) -> None:
    run = await world.cycles.run("tide", PHASES)
    again = await world.cycles.run("tide", PHASES)

    assert run is not None
    assert again is not None
    assert (run.number, run.state, run.phases) == (1, "done", ("plan", "do", "check", "act"))
    assert run.results == {"plan": 0, "do": 1, "check": 2, "act": 3}
    assert list(run.results) == list(run.durations) == list(PHASES)
    assert (again.number, again.attempts) == (2, 1)
    page = await world.cycles.history("tide", limit=1)
    assert page.items == (again,)
    assert (await world.cycles.history("tide", after=page.next)).items == (run,)
    assert (await world.cycles.history("never")).items == ()


async def test_a_cycle_says_whether_it_runs_in_which_phase_and_why(database_url: str, world: World) -> None:
    seen: list[CycleStatus] = []

    async def look(cycle: Cycle) -> str | None:
        seen.append(await world.cycles.status("tide"))
        return cycle.reason

    never = await world.cycles.status("tide")
    run = await world.cycles.run("tide", {"plan": look, "do": look}, reason="the moon is full")
    after = await world.cycles.status("tide")

    assert (never.running, never.run, never.phase) == (False, None, None)
    assert run is not None
    assert (run.reason, run.results, run.phase) == ("the moon is full", dict.fromkeys(run.phases, run.reason), None)
    assert [(each.running, each.phase) for each in seen] == [(True, "plan"), (True, "do")]
    assert (after.running, after.phase, after.run) == (False, None, run)


async def test_a_cycle_whose_owner_died_does_not_run_and_its_run_stands_at_its_phase(
    database_url: str, world: World
) -> None:
    async def die(_: Cycle) -> None:
        await expire(database_url)
        status = await world.cycles.status("tide")
        assert (status.running, status.phase, status.stop_requested) == (False, None, False)
        assert status.run is not None
        assert (status.run.state, status.run.phase) == ("running", "do")

    await world.cycles.run("tide", {"plan": count, "do": die})
    continued = await world.cycles.run("tide", PHASES, reason="another")
    assert continued is not None
    assert (continued.number, continued.reason) == (2, "another")


async def test_it_is_not_run_again_too_early(database_url: str, world: World) -> None:
    assert await world.cycles.run("tide", PHASES, min_interval=timedelta(hours=1)) is not None
    assert await world.cycles.run("tide", PHASES, min_interval=timedelta(hours=1)) is None
    await rows(database_url, "UPDATE livingworld.cycle_runs SET finished_at = now() - interval '2 hours' RETURNING 1")
    assert await world.cycles.run("tide", PHASES, min_interval=timedelta(hours=1)) is not None


async def test_of_eight_who_begin_at_once_one_runs(database_url: str, world: World) -> None:
    await world.cycles.run("tide", PHASES)
    began, leave = [], asyncio.Event()

    async def wait(cycle: Cycle) -> None:
        began.append(cycle.token)
        await leave.wait()

    async def run(each: World) -> CycleRun | None:
        try:
            return await each.cycles.run("tide", {"plan": wait})
        except AlreadyRunning:
            leave.set()
            raise

    async with same_world(database_url, world.id, pools=4) as worlds:
        runs = [run(worlds[number % 4]) for number in range(8)]
        results = await race(database_url, THE_CYCLE, [world.id, "tide"], runs, blocked=8)

    assert kinds(results) == ["AlreadyRunning"] * 7 + ["CycleRun"]
    assert len(began) == 1


async def test_the_next_owner_goes_on_at_the_phase_where_the_last_one_was_cancelled(world: World) -> None:
    called: list[str] = []
    hanging = asyncio.Event()

    async def plan(_: Cycle) -> str:
        called.append("plan")
        return "planned"

    async def hang(_: Cycle) -> None:
        called.append("hang")
        hanging.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(world.cycles.run("tide", {"plan": plan, "do": hang}))
    await hanging.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    run = await world.cycles.run("tide", {"plan": plan, "do": count})

    assert run is not None
    assert (run.number, run.attempts, run.state, run.results) == (1, 2, "done", {"plan": "planned", "do": 1})
    assert called == ["plan", "hang"]


async def test_a_phase_that_raises_ends_the_run_and_frees_the_cycle(world: World) -> None:
    async def fail(_: Cycle) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.cycles.run("tide", {"plan": count, "do": fail})
    run = await world.cycles.run("tide", PHASES)
    failed = (await world.cycles.history("tide")).items[-1]

    assert run is not None
    assert (run.number, run.state) == (2, "done")
    assert (failed.state, failed.phases_done, failed.error) == ("failed", 1, "do: ZeroDivisionError: ")


async def test_a_stop_is_honoured_between_phases(world: World) -> None:
    async def ask(_: Cycle) -> bool:
        return await world.cycles.request_stop("tide")

    assert not await world.cycles.request_stop("tide")
    run = await world.cycles.run("tide", {"plan": ask, "do": count})
    next_run = await world.cycles.run("tide", {"plan": count, "do": count})

    assert run is not None
    assert (run.state, run.results) == ("stopped", {"plan": True})
    assert next_run is not None
    assert next_run.state == "done"


async def test_who_was_overtaken_writes_nothing(database_url: str, world: World, story: Story) -> None:
    reached: list[str] = []

    async def be_late(cycle: Cycle) -> str:
        await expire(database_url)
        taken_over = await world.cycles.run("tide", {"plan": count})
        assert taken_over is not None
        assert taken_over.attempts == 2
        with pytest.raises(Fenced):
            async with world.transaction() as tx:
                await tx.prove(cycle)
                await tx.stories.append_scene(story.id, NewScene("too late"))
        reached.append("the end")
        return "too late"

    with pytest.raises(Fenced):
        await world.cycles.run("tide", {"plan": be_late})

    (run,) = (await world.cycles.history("tide")).items
    assert reached == ["the end"]
    assert (run.state, run.results) == ("done", {"plan": 0})
    assert (await world.stories.head(story.id)).story.scene_count == 0


async def test_bad_input_is_named(world: World) -> None:
    unfit: list[tuple[Any, Any, dict[str, Any]]] = [
        ("", PHASES, {}),
        ("tide", {}, {}),
        ("tide", {"plan": 1}, {}),
        ("tide", {"\x00": count}, {}),
        ("tide", PHASES, {"ttl": timedelta(0)}),
        ("tide", PHASES, {"min_interval": 3}),
    ]
    for name, phases, options in unfit:
        with pytest.raises(InvalidInput):
            await world.cycles.run(name, phases, **options)

    async def bring_no_json(_: Cycle) -> object:
        return object()

    with pytest.raises(InvalidInput):
        await world.cycles.run("tide", {"plan": bring_no_json})


async def test_equal_names_of_two_worlds_are_two_cycles(livingworld: LivingWorld, world: World) -> None:
    other = await livingworld.worlds.create("Saltmarsh")
    both = asyncio.Barrier(2)

    async def meet(_: Cycle) -> None:
        await both.wait()

    runs = await asyncio.gather(*(each.cycles.run("tide", {"plan": meet}) for each in (world, other)))
    assert [run.number for run in runs if run] == [1, 1]


@asynccontextmanager
async def running(url: str, world: World) -> AsyncIterator[Process]:
    """Start a process that runs the cycle, and end it with the block, whatever it does."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        url,
        str(world.id),
        str(LEASE_SECONDS),
        stdin=PIPE,
        stdout=PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def says(program: Process) -> str:
    """Return the line that it prints next."""
    assert program.stdout
    async with patiently():
        return (await program.stdout.readline()).decode().strip()


def go_on(program: Process) -> None:
    """Let its phase return."""
    assert program.stdin
    program.stdin.write(b"\n")


async def take_over(url: str, world: World, stack: AsyncExitStack) -> Process:
    """Start a process that gets the cycle, whose lease is over."""
    await expire(url)
    program = await stack.enter_async_context(running(url, world))
    assert await says(program) == "began 1 do"
    return program


async def test_a_process_that_was_stopped_and_thawed_after_a_takeover_writes_nothing(
    database_url: str, world: World
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(database_url, world))
        assert await says(first) == "began 1 plan"
        go_on(first)
        assert await says(first) == "began 1 do"
        first.send_signal(signal.SIGSTOP)
        second = await take_over(database_url, world, stack)
        first.send_signal(signal.SIGCONT)
        go_on(first)
        assert await says(first) == "ended Fenced"
        (run,) = (await world.cycles.history("tide")).items
        assert (run.state, run.phases_done, run.attempts) == ("running", 1, 2)
        go_on(second)
        assert await says(second) == "ended done"

    (run,) = (await world.cycles.history("tide")).items
    assert (run.state, run.results) == ("done", {"plan": 1, "do": 2})
