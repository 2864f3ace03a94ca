"""The `livingworld` command as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = "from livingworld_command import main; main()"


def run_command(*arguments: str, database_url: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command to its end; the only database it could find is the one that is named."""
    with start_command(*arguments, database_url=database_url) as process:
        told, complaint = process.communicate(timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, told, complaint)


@contextmanager
def start_command(*arguments: str, database_url: str = "", **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Give a running command; it does not outlive the block."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        env=command_environment(database_url),
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def command_environment(database_url: str) -> dict[str, str]:
    """Return the environment of a command; a database that is not named cannot be reached."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGWORLD_")}
    nowhere = "postgresql://nobody@127.0.0.1:1/nowhere"
    return {**ours, "LIVINGWORLD_DATABASE_URL": database_url or nowhere, "PYTHONUTF8": "1", "COLUMNS": "100"}
