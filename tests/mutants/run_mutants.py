"""Take out each guard of guards.toml in turn, run the tests that name it, and write the table; `make mutants`.

It works in a copy of the checkout. Exit code 1 when fewer than 95 of 100 guards are noticed, or when one that survives
is not explained. Arguments: parts of names; only such guards are tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
GUARDS: Final = Path(__file__).with_name("guards.toml")
NEEDED: Final = 0.95
_LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", "site", "build", "dist", ".hypothesis"
)
#: A mutant that hangs is noticed.
_LIMIT_SECONDS: Final = 1200


@dataclass(frozen=True, slots=True)
class GuardToRemove:
    """One entry of guards.toml."""

    name: str
    kind: str
    file: str
    takes_out: str
    leaves: str
    tests: tuple[str, ...]
    survives: str = ""


def guards() -> tuple[GuardToRemove, ...]:
    """Return every entry of guards.toml."""
    entries: list[dict[str, Any]] = tomllib.loads(GUARDS.read_text(encoding="utf-8"))["guard"]
    return tuple(GuardToRemove(**(entry | {"tests": tuple(entry["tests"])})) for entry in entries)


class Copy:
    """A copy of the checkout in which guards are taken out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        shutil.copytree(ROOT, self.folder, ignore=_LEFT_OUT)
        self._environment = os.environ | {
            "PYTHONPATH": str(self.folder),
            "LIVINGWORLD_TEST_PART": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def notices(self, guard: GuardToRemove) -> bool:
        """Return whether a test fails without the guard."""
        path = self.folder / guard.file
        original = path.read_text(encoding="utf-8")
        path.write_text(original.replace(guard.takes_out, guard.leaves, 1), encoding="utf-8")
        try:
            self._render()
            return not self.passes(guard.tests)
        finally:
            path.write_text(original, encoding="utf-8")
            self._render()

    def passes(self, tests: Sequence[str]) -> bool:
        """Return whether these tests pass in time."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:randomly",
            "-n",
            "2",
            "--dist",
            "loadgroup",
            *tests,
        ]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self._environment,
                capture_output=True,
                timeout=_LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _render(self) -> None:
        """Write the migrations, from which tests make their tables and functions."""
        render = [sys.executable, "alembic/render_sql.py"]
        subprocess.run(render, cwd=self.folder, env=self._environment, check=True, capture_output=True)


def main(parts: Sequence[str]) -> int:
    """Try the guards and print the table; return the exit code."""
    chosen = [guard for guard in guards() if not parts or any(part in guard.name for part in parts)]
    with tempfile.TemporaryDirectory(prefix="livingworld-mutants-") as folder:
        copy = Copy(Path(folder))
        if not copy.passes(sorted({test for guard in chosen for test in guard.tests})):
            tell("the tests fail with all guards in place")
            return 1
        tell("| guard | kind | file | without it |\n|---|---|---|---|")
        noticed = [_tried(copy, guard) for guard in chosen]
    share = sum(noticed) / len(noticed)
    tell(f"\n{sum(noticed)} of {len(noticed)} are noticed ({share:.0%}); at least {NEEDED:.0%} have to be.")
    unexplained = [guard for guard, seen in zip(chosen, noticed, strict=True) if not seen and not guard.survives]
    return 1 if unexplained or (share < NEEDED and not parts) else 0


def _tried(copy: Copy, guard: GuardToRemove) -> bool:
    noticed = copy.notices(guard)
    outcome = "a test fails" if noticed else f"SURVIVES: {guard.survives or 'not explained'}"
    tell(f"| {guard.name} | {guard.kind} | `{guard.file}` | {outcome} |")
    return noticed


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
