"""Programs that are not asynchronous, as processes: a fork, an end without a close, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.run_role import pooler_of_the_run, url_of_the_run
from tests.support.turn_checks import rows

PROGRAM: Final = Path(__file__).with_name("blocking_program.py")
ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 120
HELD: Final = "SELECT count(*) FROM livingworld.turn_leases WHERE expires_at > now()"
#: What an event loop says of work that it was not given the time to end.
OURS: Final = ("Task ", "asyncio", "never awaited", "Exception ignored", "Exception in thread", "Fatal")


def started(mode: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(PROGRAM), mode, url_of_the_run(url)],
        env={name: value for name, value in os.environ.items() if name == "LIVINGWORLD_ROW_SECURITY"}
        | {"PYTHONPATH": str(ROOT), "PATH": ""}
        | pooler_of_the_run(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_child_of_a_fork_is_refused_and_the_parent_goes_on(database_url: str) -> None:
    with started("fork", database_url) as program:
        out, complaint = program.communicate(timeout=PATIENCE_SECONDS)

    assert (out.splitlines(), complaint, program.returncode) == (["UsedAfterFork", "Saltmarsh 0"], "", 0)


async def test_a_program_that_closes_nothing_ends_and_leaves_nothing_behind(database_url: str) -> None:
    with started("end", database_url) as program:
        out, complaint = program.communicate(timeout=PATIENCE_SECONDS)

    assert (out, complaint, program.returncode) == ("the end\n", "", 3)
    assert await rows(database_url, HELD) == [(0,)]


async def test_ctrl_c_ends_a_program_that_waits_and_leaves_its_blocks(database_url: str) -> None:
    with started("wait", database_url) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "waits\n"
        program.send_signal(signal.SIGINT)
        _, complaint = program.communicate(timeout=PATIENCE_SECONDS)

    assert program.returncode
    assert complaint.rstrip().endswith("KeyboardInterrupt")
    assert complaint.count("Traceback") == 1, complaint
    assert not [word for word in OURS if word in complaint], complaint
    assert await rows(database_url, "SELECT count(*) FROM livingworld.presences") == [(0,)]
