"""The `livingworld` command as a process of its own."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from livingworld_command import main
from tests.support.run_role import pooler_of_the_run, url_of_the_run

PROGRAM: Final = "from livingworld_command import main; main()"
_PATIENCE_SECONDS: Final = 180
#: Has imported the library, the command and the story generator, up to a second each, and forks where they are run.
PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.preloaded"])
#: Commands of whoever owns the tables; every other one is run in the role of the test run.
_OF_THE_OWNER: Final = ("db",)


def run_command(*arguments: str, database_url: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command to its end; the only database it could find is the one that is named."""
    return run_in_fork(_command, ("livingworld", *arguments), _environment(arguments, database_url))


def _command() -> None:
    warnings.simplefilter("error")
    main()


def run_in_fork(
    program: Callable[[], object], words: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the main function of a program to its end, with the words of a command line, in a folder."""
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place, name) for name in ("stdout", "stderr")]
        process = PROCESSES.Process(target=_be, args=(program, words, environment, folder, files))
        process.start()
        try:
            process.join(_PATIENCE_SECONDS)
            assert process.exitcode is not None, f"{words} has not ended"
            told, complaint = (file.read_text(encoding="utf-8") for file in files)
            return subprocess.CompletedProcess(words, process.exitcode, told, complaint)
        finally:
            process.kill()


def _be(
    program: Callable[[], object],
    words: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | None,
    files: Sequence[Path],
) -> None:
    """Be the program, as far as it can see."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [*words]
    if folder is not None:
        os.chdir(folder)
    for stream, file in zip((sys.stdout, sys.stderr), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream.fileno())
    program()


@contextmanager
def start_command(*arguments: str, database_url: str = "", **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Give a running command; it does not outlive the block."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        env=_environment(arguments, database_url) | settings,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _environment(arguments: Sequence[str], database_url: str) -> dict[str, str]:
    """Return the environment of a command in the role of the test run, unless it is the owner's."""
    if not database_url or arguments[0] in _OF_THE_OWNER:
        return command_environment(database_url)
    return environment_in_role(database_url)


def environment_in_role(database_url: str) -> dict[str, str]:
    """Return the environment of a program in the role of the test run."""
    scope = {name: value for name, value in os.environ.items() if name == "LIVINGWORLD_ROW_SECURITY"}
    return command_environment(url_of_the_run(database_url)) | scope | pooler_of_the_run(database_url)


def command_environment(database_url: str) -> dict[str, str]:
    """Return the environment of a command; a database that is not named cannot be reached."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LIVINGWORLD_")}
    nowhere = "postgresql://nobody@127.0.0.1:1/nowhere"
    return {**ours, "LIVINGWORLD_DATABASE_URL": database_url or nowhere, "PYTHONUTF8": "1", "COLUMNS": "100"}
