"""The first Ctrl-C cancels a command also where it does not end the loop's system call."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator

import pytest

from livingworld.cli.interruption import Interruption

pytestmark = pytest.mark.any_server


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    before = signal.getsignal(signal.SIGINT)
    listening = Interruption()
    listening.listen()
    yield listening
    signal.signal(signal.SIGINT, before)


def interrupt_this_thread() -> None:
    """Receive SIGINT in a thread that is not the main one, whose system call goes on therefore."""
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


@pytest.mark.timeout(60)
def test_a_signal_that_another_thread_receives_ends_the_wait(interruption: Interruption) -> None:
    async def wait_for_ever() -> None:
        asyncio.get_running_loop().call_soon(threading.Timer(0.1, interrupt_this_thread).start)
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        interruption.run(wait_for_ever())

    assert interruption.happened
