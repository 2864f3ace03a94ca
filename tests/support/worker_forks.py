"""The process that collects the tests once and forks each worker of pytest-xdist; no plugin of pytest.

python -c '...' DESCRIPTOR ARGUMENTS: a socket that listens for worker_client.py, and what pytest was started with.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

import pytest

#: What it does before it forks: collect the same tests, and no more.
_COLLECTING: Final = ("-n", "0", "--collect-only", "-qq")


def main() -> None:
    """Collect, and fork for each connection."""
    listener, arguments = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    with _silence():
        pytest.main([*arguments, *_COLLECTING])
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a worker ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # xdist ends the workers, and then this process is killed
    while True:
        connection, _ = listener.accept()
        _, given, _, _ = socket.recv_fds(connection, 1, 2)
        if os.fork() == 0:
            listener.close()
            _work(given)  # it holds the connection until it ends
        connection.close()
        for descriptor in given:
            os.close(descriptor)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Print nothing: the workers tell what went wrong."""
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)
    try:
        yield
    finally:
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
    os.close(nothing)


def _work(given: Sequence[int]) -> NoReturn:
    """Be the worker, as execnet starts it: by a line from standard input."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, standard in zip(given, (0, 1), strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    exec(eval(sys.stdin.readline()), {"__name__": "__main__"})  # noqa: S102, S307 - execnet's own program
    sys.exit()
