"""The processes of a phase, and what is done to them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from livingworld.errors import LivingWorldError
from livingworld.testing.stress.plan import Phase, Plan
from livingworld.testing.stress.stage import Stage

#: A process imports, connects and begins within this; at the end it has as long as its calls may take.
_START_SECONDS: Final = 120
_END_SECONDS: Final = 180


class WorkerFailed(LivingWorldError):  # noqa: N818 - named for what happened, as in livingworld.errors
    """A process of writers ended with an error."""


@dataclass(slots=True)
class Worker:
    """A process of writers that plays."""

    process: asyncio.subprocess.Process
    journal: Path

    def say(self, line: str) -> None:
        """Give it a line."""
        assert self.process.stdin  # noqa: S101 - it is a pipe
        self.process.stdin.write(f"{line}\n".encode())

    async def hear(self, seconds: float) -> str:
        """Return its next line, empty when it has ended."""
        assert self.process.stdout  # noqa: S101 - it is a pipe
        async with asyncio.timeout(seconds):
            return (await self.process.stdout.readline()).decode().strip()

    async def end(self) -> int:
        """Let it end and return how many of its calls hang; raises WorkerFailed."""
        assert self.process.stdin  # noqa: S101 - it is a pipe
        self.process.stdin.close()
        line = await self.hear(_END_SECONDS)
        if not line.startswith("hung "):
            message = f"a process of writers ended with {await self.process.wait()}; its standard error says why"
            raise WorkerFailed(message)
        await self.process.wait()
        return int(line.removeprefix("hung "))

    async def kill(self) -> None:
        """End it by SIGKILL."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def pause(self) -> None:
        """Stop it where it is."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


@dataclass(slots=True)
class Workers:
    """All processes of one phase."""

    plan: Plan
    phase: Phase
    url: str
    stage: Stage
    directory: Path
    living: list[Worker] = field(default_factory=list)
    journals: list[Path] = field(default_factory=list)

    async def start(self) -> None:
        """Start all processes; they play when this returns."""
        self.living += await asyncio.gather(*(self._started(number) for number in range(self.plan.processes)))

    async def replace(self, chance: Random) -> None:
        """Kill one process and start another one in its place."""
        place = chance.randrange(len(self.living))
        await self.living[place].kill()
        self.living[place] = await self._started(place)

    async def end(self) -> int:
        """Let all processes end and return how many calls hang."""
        return sum(await asyncio.gather(*(worker.end() for worker in self.living)))

    async def kill(self) -> None:
        """End what still runs."""
        await asyncio.gather(*(worker.kill() for worker in self.living))

    async def _started(self, place: int) -> Worker:
        name = f"{self.phase.name}-{len(self.journals)}"
        self.journals.append(self.directory / f"{name}.jsonl")
        share = range(place, self.plan.writers, self.plan.processes)
        config = {
            "url": self.url,
            "journal": str(self.journals[-1]),
            "name": name,
            "writers": len(share),
            "faults": sorted(self.phase.faults),
            "stage": self.stage.as_json(),
        }
        program = (sys.executable, "-m", "livingworld.testing.stress.worker")
        pipe, environment = asyncio.subprocess.PIPE, os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        worker = Worker(
            await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, env=environment), self.journals[-1]
        )
        worker.say(json.dumps(config))  # by its input: a command line can be read by others, and the URL has a password
        if await worker.hear(_START_SECONDS) != "ready":
            await worker.kill()
            raise WorkerFailed
        return worker
