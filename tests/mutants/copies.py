"""A copy of the checkout in which guards are taken out, and tests are run on a server that all copies share."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.guard_list import ROOT, GuardToRemove
from tests.mutants.templates import VARIABLE, Templates

_LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", "site", "build", "dist", ".hypothesis"
)
#: The SQL that the migrations run, written from the package.
_MIGRATIONS: Final = "alembic/versions/sql"
#: Of one test, and of one that is marked as slow; a mutant that hangs is noticed.
_TEST_SECONDS: Final = 60
_SLOW_TEST_SECONDS: Final = 180
#: Of a whole run: what not even the limits of its tests end.
_RUN_SECONDS: Final = 600
_OUTCOME: Final = re.compile(r"^(FAILED|ERROR) (\S+?::[^\s\[]+(?:\[.*?\](?= - |$))?)(?: - (.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a run of tests."""

    #: The tests that failed; the first one ends the run.
    failed: tuple[str, ...]
    #: What the first of them said.
    reason: str
    #: Whether it ended without a failed test and without success: nothing was tested.
    is_broken: bool
    output: str
    seconds: float


class Copy:
    """A copy of the checkout."""

    def __init__(self, folder: Path, server: str, templates: Templates) -> None:
        """`server` is the URL of the server of all runs."""
        self._folder = folder
        self._templates = templates
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
        self._environment = os.environ | {
            "PYTHONPATH": str(folder),
            "LIVINGWORLD_TEST_PART": "1",
            "LIVINGWORLD_TEST_DSN": server,
            "COLUMNS": "300",  # so that the summary has room for why a test failed
        }
        # Modules are compiled once for all runs of a copy, and every named test is run.
        for name in ("PYTHONDONTWRITEBYTECODE", "LIVINGWORLD_TEST_SAMPLE", "LIVINGWORLD_TEST_SHARE"):
            self._environment.pop(name, None)
        self._forking = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.forking"],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def close(self) -> None:
        """End the process that runs tests."""
        self._forking.kill()
        self._forking.communicate()

    def run_without(self, guard: GuardToRemove) -> Run:
        """Run the tests of a guard without it."""
        with self._without(guard), self._templates.without(guard) as template:
            return self._run(guard.tests, template, "-x")

    def run(self, tests: Sequence[str]) -> Run:
        """Run tests with all guards in place, all of them."""
        with self._templates.without(None) as template:
            return self._run(tests, template)

    def _run(self, tests: Sequence[str], template: str, *options: str) -> Run:
        began = time.monotonic()
        limits = ["-o", f"timeout={_TEST_SECONDS}", "-o", f"slow_timeout={_SLOW_TEST_SECONDS}"]
        arguments = ["-q", "-rfE", "-p", "no:randomly", "-p", "no:xdist", "-p", "tests.mutants.templates"]
        code, output = self._call([*arguments, *limits, *options, *tests], {VARIABLE: template})
        found = [(test, reason) for outcome, test, reason in _OUTCOME.findall(output) if outcome == "FAILED"]
        if code is None:
            found = [(tests[0], "it did not end")]
        failed, reason = tuple(test for test, _ in found), found[0][1] if found else ""
        return Run(failed, reason, not failed and code != 0, output, time.monotonic() - began)

    @contextmanager
    def _without(self, guard: GuardToRemove) -> Iterator[None]:
        path = self._folder / guard.file
        original = path.read_text(encoding="utf-8")
        self._write(path, original.replace(guard.takes_out, guard.leaves, 1))
        renders = guard.is_in_migrations and not guard.is_in_function
        try:
            if renders:
                render = [sys.executable, "alembic/render_sql.py"]
                subprocess.run(render, cwd=self._folder, env=self._environment, check=True, capture_output=True)
            yield
        finally:
            self._write(path, original)
            if renders:
                shutil.copytree(ROOT / _MIGRATIONS, self._folder / _MIGRATIONS, dirs_exist_ok=True)

    def _write(self, path: Path, text: str) -> None:
        """Write a file; what was compiled from it may have its time and size."""
        path.write_text(text, encoding="utf-8")
        if path.suffix == ".py":
            Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def _call(self, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int | None, str]:
        """Run pytest, and end what it started when it takes too long; without a code then."""
        output = self._folder.with_suffix(".output")
        order = {"arguments": arguments, "environment": environment, "output": str(output)}
        self._order(json.dumps(order))
        process, ended = self._answer(), self._ends_in_time()
        if not ended:
            os.killpg(process, signal.SIGKILL)
        code = self._answer()
        return code if ended else None, output.read_text(encoding="utf-8", errors="replace")

    def _order(self, line: str) -> None:
        assert self._forking.stdin is not None
        self._forking.stdin.write(f"{line}\n".encode())

    def _answer(self) -> int:
        assert self._forking.stdout is not None
        return int(self._forking.stdout.readline())

    def _ends_in_time(self) -> bool:
        assert self._forking.stdout is not None
        return bool(select.select([self._forking.stdout], [], [], _RUN_SECONDS)[0])
