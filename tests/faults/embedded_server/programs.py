"""Programs in processes of their own, as this user or another."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.patience import PATIENCE

_HERE: Final = Path(__file__).parent
_CHECKOUT: Final = _HERE.parents[2]
#: What can be imported here, without the standard library: another Python brings its own.
_INSTALLED: Final = [folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))]
_IMPORTABLE: Final = os.pathsep.join([str(_CHECKOUT), *_INSTALLED])


class ClientProgram:
    """One run of client_program.py."""

    def __init__(
        self,
        home: Path,
        *,
        at: Path | None = None,
        binaries: Path | None = None,
        uid: int | None = None,
        start_new_session: bool = False,
    ) -> None:
        python = sys.executable if uid is None else python_for(uid)
        command = [python, str(_HERE / "client_program.py"), str(at or home), *([str(binaries)] if binaries else [])]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": _IMPORTABLE},
            start_new_session=start_new_session,
            **identity(uid),
        )
        self.hear("ready")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def hear(self, expected: str) -> None:
        """Wait for the line that it prints next."""
        assert self.listen() == expected

    def listen(self) -> str:
        """Return the line that it prints next."""
        assert self._process.stdout
        return str(self._process.stdout.readline()).strip()

    def say(self, word: str) -> None:
        """Tell it to do something, without waiting for it."""
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def do(self, word: str) -> None:
        """Tell it to do something and wait until it is done."""
        self.say(word)
        self.hear(f"{word} done")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.end_by(signal.SIGKILL)

    def end_by(self, signal_number: signal.Signals) -> None:
        """End it with a signal."""
        self._process.send_signal(signal_number)
        assert self._process.wait() == -signal_number

    def end(self) -> None:
        """End it, whatever it does, and close what leads to it."""
        if self._process.poll() is None:
            self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def wait(self) -> int:
        """Return its exit code."""
        return self._process.wait(timeout=PATIENCE.total_seconds())


def identity(uid: int | None) -> dict[str, Any]:
    """Return what makes subprocess run a program as user `uid`."""
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


@functools.cache
def python_for(uid: int) -> str:
    """Return a Python with which user `uid` can import livingworld; skips the test when there is none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(version, path=os.defpath + ":/usr/local/bin")):
        if python and _imports(python, uid):
            return python
    pytest.skip(f"no {version} here that user {uid} can run with livingworld")


def _imports(python: str, uid: int) -> bool:
    command = [python, "-c", "import livingworld.embedded_server"]
    environment = {**os.environ, "PYTHONPATH": _IMPORTABLE}
    try:
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False, **identity(uid))
    except OSError:
        return False
    return done.returncode == 0
