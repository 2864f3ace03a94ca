"""The workers of pytest-xdist are forks of one process that has collected the tests, and imported what they import.

Each of four would import and collect for itself, which takes 4 s of CPU; after that it takes 1 s.
"""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from livingworld.testing.remover import remove
from livingworld.testing.throw_away_directory import throw_away_directory

_CHECKOUT: Final = Path(__file__).parents[2]
_PROGRAM: Final = "import sys; sys.path.insert(0, sys.argv.pop()); from tests.support.worker_forks import main; main()"
_CLIENT: Final = Path(__file__).with_name("worker_client.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """Have each worker that xdist would start on this machine be forked."""
    folder = throw_away_directory("livingworld-workers-")
    config.add_cleanup(lambda: remove(folder))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "forks"))
    listener.listen(len(specs))
    arguments = [str(listener.fileno()), json.dumps(config.invocation_params.args), str(_CHECKOUT)]
    with listener:
        forks = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            cwd=config.invocation_params.dir,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
        )

    def end() -> None:
        forks.kill()
        forks.wait()

    config.add_cleanup(end)
    for spec in specs:
        if spec.popen and not spec.python:
            spec.python = shlex.join([sys.executable, "-I", "-S", str(_CLIENT), str(folder / "forks")])
