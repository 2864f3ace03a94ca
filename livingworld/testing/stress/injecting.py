"""What is done to the processes of a phase, and to the server, while they play."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

from livingworld.embedded_server import EmbeddedServer
from livingworld.testing.history import History
from livingworld.testing.stress.deeds import TTL
from livingworld.testing.stress.plan import Fault, Plan
from livingworld.testing.stress.processes import Workers
from livingworld.testing.stress.writer import INJECTED

#: In a phase something is done about so many times, with each fault in its turn.
_TIMES: Final = 4
_SHORTEST_SECONDS: Final = 0.5


def left_out(plan: Plan, server: EmbeddedServer | None, *, tls: bool) -> dict[Fault, str]:
    """Return the faults of a plan that cannot be injected here, each with the reason."""
    reasons = {}
    if server is None:
        reasons[Fault.RESTART] = "the server is not started by this command; without a database one is"
    elif not Path("/proc").is_dir():
        reasons[Fault.RESTART] = "the server's process is found by /proc"
    if tls:
        reasons[Fault.CUT] = "connections are cut by a proxy, which speaks no TLS"
    if not hasattr(signal, "SIGSTOP"):
        reasons[Fault.PAUSE] = "this system has no SIGSTOP"
    return {fault: reason for fault, reason in reasons.items() if fault in plan.faults}


async def inject(
    workers: Workers, seconds: float, server: EmbeddedServer | None, history: History, ended: asyncio.Event
) -> None:
    """Inject the faults of a phase one after the other until it has ended; those of the processes themselves apart."""
    chance = Random(f"{workers.plan.seed} {workers.phase.name}")
    faults = [fault for fault in Fault if fault in workers.phase.faults - {Fault.CUT, Fault.CANCEL}]
    pause = max(seconds / _TIMES / max(len(faults), 1), _SHORTEST_SECONDS)
    for fault in itertools.cycle(faults):
        with suppress(TimeoutError):
            async with asyncio.timeout(pause * chance.uniform(0.3, 0.8)):
                await ended.wait()
        if ended.is_set():
            return
        with history.recording(INJECTED, fault.value):
            await _do(fault, workers, chance, server)


async def _do(fault: Fault, workers: Workers, chance: Random, server: EmbeddedServer | None) -> None:
    if fault is Fault.KILL:
        await workers.replace(chance)
    elif fault is Fault.PAUSE:
        await _pause(workers, chance)
    elif fault is Fault.RESTART and server is not None:
        await asyncio.to_thread(restart, server)


async def _pause(workers: Workers, chance: Random) -> None:
    """Stop a process until its leases have ended, and let it go on."""
    worker = chance.choice(workers.living)
    worker.pause()
    try:
        await asyncio.sleep(TTL.total_seconds() * chance.uniform(1.2, 1.6))
    finally:
        worker.thaw()


def restart(server: EmbeddedServer) -> None:
    """Kill a server as a crash would, and start it again."""
    process = int((server.data_directory / "postmaster.pid").read_text().splitlines()[0])
    os.kill(process, signal.SIGKILL)
    server.ensure_running()
