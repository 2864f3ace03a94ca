"""How a command starts."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import pytest

from livingworld.cli import command_line
from livingworld_command import main
from tests.support.command import PROCESSES

pytestmark = pytest.mark.any_server


def _say_how_it_collects(said: Connection) -> None:
    gc.unfreeze()  # as the interpreter of a command begins

    def commands(_: Sequence[str]) -> Callable[[], None]:
        assert not gc.isenabled()  # here a command is imported
        return lambda: said.send((gc.isenabled(), gc.get_freeze_count() > 0))

    command_line.all_commands = commands  # type: ignore[assignment]
    main()


def test_the_garbage_collector_looks_at_what_a_command_makes_and_not_at_what_it_imported() -> None:
    heard, said = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_say_how_it_collects, args=(said,))
    process.start()
    said.close()
    process.join()

    assert heard.poll(), process.exitcode
    assert heard.recv() == (True, True)
    heard.close()
