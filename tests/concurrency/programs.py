"""Programs in processes of their own, and how a test talks with them."""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.support.command import PROCESSES
from tests.support.patience import patiently
from tests.support.run_role import pooler_of_the_run, url_of_the_run


class PlayerProcess:
    """One run of a program that is told what to do line by line, and answers so."""

    def __init__(self, process: ForkServerProcess, printed: asyncio.StreamReader, told: asyncio.StreamWriter) -> None:
        self._process = process
        self._printed = printed
        self._told = told

    async def hear(self) -> str:
        """Return the line that it prints next."""
        async with patiently():
            return (await self._printed.readline()).decode().strip()

    async def lines(self) -> AsyncIterator[str]:
        """Give every line that it prints from now on, until it ends."""
        while line := await self._printed.readline():
            yield line.decode().strip()

    def say(self, line: str) -> None:
        """Tell it to do something, without waiting for it."""
        self._told.write(f"{line}\n".encode())

    async def do(self, line: str) -> str:
        """Tell it to do something and return what it answers."""
        self.say(line)
        return await self.hear()

    def pause(self) -> None:
        """Stop it where it is."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        await asyncio.to_thread(self._process.join)
        self._told.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


async def started(program: Path, *arguments: object) -> PlayerProcess:
    """Start a program, in the role of the test run, and return it when it is ready; whoever started it kills it.

    It is a fork of a process that has imported the library: 0.1 s of CPU and not 0.8.
    """
    given = [url_of_the_run(each) if "://" in each else each for each in map(str, arguments)]
    ours, theirs = socket.socketpair()
    environment = dict(os.environ)
    for url in (each for each in map(str, arguments) if "://" in each):
        environment |= pooler_of_the_run(url)
    process = PROCESSES.Process(target=_be, args=(str(program), given, environment, theirs))
    with theirs:
        await asyncio.to_thread(process.start)
    player = PlayerProcess(process, *await asyncio.open_unix_connection(sock=ours))
    try:
        assert await player.hear() == "ready"
    except BaseException:
        await player.kill()
        raise
    return player


def _be(program: str, arguments: Sequence[str], environment: Mapping[str, str], channel: socket.socket) -> None:
    """Be the program, as far as it can see: its standard input and output lead to the test."""
    os.environ.clear()
    os.environ.update(environment)
    for standard in (0, 1):
        os.dup2(channel.fileno(), standard)
    channel.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


@asynccontextmanager
async def running(program: Path, *arguments: object) -> AsyncIterator[PlayerProcess]:
    """Run a program while the block runs, and end it with the block, whatever it does."""
    player = await started(program, *arguments)
    try:
        yield player
    finally:
        await player.kill()
