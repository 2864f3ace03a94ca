"""PostgreSQL's programs behind scripts that wait at a step until a test lets them go on."""

from __future__ import annotations

import shlex
from pathlib import Path

from livingworld.embedded_server import find_binaries
from livingworld.embedded_server.binaries import reachable_binaries
from livingworld.embedded_server.server_account import ServerAccount
from tests.support.embedded_servers import wait_for

_SCRIPT = """#!/bin/sh
if [ "$1" = {step} ]; then
    touch {waits}
    while [ -e {waits} ] && [ ! -e {goes_on} ]; do sleep 0.02; done
fi
exec {program} "$@"
"""


class ScriptedBinaries:
    """Binaries of which one waits when its first argument is `waits_at`; the user of PostgreSQL can run them."""

    def __init__(self, home: Path, *, waits_at: str, slow: str = "pg_ctl") -> None:
        self.directory = home / "scripted" / "bin"
        self._waits, self._goes_on = home / "waits", home / "goes-on"
        self.directory.mkdir(parents=True)
        home.chmod(0o777)  # the user of PostgreSQL writes its marks here
        real = reachable_binaries(find_binaries(), ServerAccount.choose(home / "no data yet"), home)
        for tool in ("postgres", "initdb", "pg_ctl"):
            script = self.directory / tool
            script.write_text(self._script(real / tool, waits_at if tool == slow else "never"))
            script.chmod(0o755)

    def _script(self, program: Path, step: str) -> str:
        names = {"waits": self._waits, "goes_on": self._goes_on, "program": program, "step": step}
        return _SCRIPT.format(**{name: shlex.quote(str(value)) for name, value in names.items()})

    def until_it_waits(self) -> None:
        """Return when it was called."""
        wait_for(self._waits.exists)

    def go_on(self) -> None:
        """Let it do what it was called for."""
        self._goes_on.touch()
