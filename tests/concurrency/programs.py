"""Programs in processes of their own, and how a test talks with them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.patience import patiently
from tests.support.run_role import url_of_the_run


class PlayerProcess:
    """One run of a program that is told what to do line by line, and answers so."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self) -> str:
        """Return the line that it prints next."""
        assert self._process.stdout
        async with patiently():
            return (await self._process.stdout.readline()).decode().strip()

    async def lines(self) -> AsyncIterator[str]:
        """Give every line that it prints from now on, until it ends."""
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            yield line.decode().strip()

    def say(self, line: str) -> None:
        """Tell it to do something, without waiting for it."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())

    async def do(self, line: str) -> str:
        """Tell it to do something and return what it answers."""
        self.say(line)
        return await self.hear()

    def pause(self) -> None:
        """Stop it where it is."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def started(program: Path, *arguments: object) -> PlayerProcess:
    """Start a program, in the role of the test run, and return it when it is ready; whoever started it kills it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        *(url_of_the_run(each) if "://" in each else each for each in map(str, arguments)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    player = PlayerProcess(process)
    try:
        assert await player.hear() == "ready"
    except BaseException:
        await player.kill()
        raise
    return player


@asynccontextmanager
async def running(program: Path, *arguments: object) -> AsyncIterator[PlayerProcess]:
    """Run a program while the block runs, and end it with the block, whatever it does."""
    player = await started(program, *arguments)
    try:
        yield player
    finally:
        await player.kill()
