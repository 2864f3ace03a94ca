"""Large products of cases: each commit tries another part of them, and `make soak` tries the whole.

`LIVINGWORLD_TEST_PART` is a number, or `all`; without it the number is the digest of the commit.
`@pytest.mark.rotates(parts=4)` keeps one of four parts of the cases of a test. A test that goes through cases itself is
marked with `@pytest.mark.rotates` and takes them from `rotated`.

`LIVINGWORLD_TEST_SHARE` is `1/2` in the first lane of `.ci/run`, and `2/2` in the second, which has another server and
another Python: each runs one half of the cases that depend on them, of each file, and the number chooses which. So each
case runs once in each `.ci/run`, but for plans, which both lanes run. Without it, or with `all`, every case runs.

`LIVINGWORLD_TEST_SAMPLE=3`, in `make test`, keeps one case of three of each file outside of `tests/unit`, and at least
one.
"""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar

import pytest

T = TypeVar("T")

VARIABLE: Final = "LIVINGWORLD_TEST_PART"
ALL: Final = "all"
_PARTS: Final = 10_000
#: The hundreds of the number choose among the cases of a test, and the rest among what a case goes through by itself:
#: each meets each.
_CASES: Final = 100


def _part_of_the_commit() -> str:
    """Return a number that another commit seldom has; 0 outside of a repository."""
    head = subprocess.run(
        ["git", "rev-parse", "--verify", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return str(int(head.stdout or "0", 16) % _PARTS)


#: Which of so many parts of what depends on the server is run: `1/2`, `2/2`, or all.
SHARE: Final = os.environ.get("LIVINGWORLD_TEST_SHARE") or ALL
#: One case of so many is run, of each file.
SAMPLE: Final = int(os.environ.get("LIVINGWORLD_TEST_SAMPLE") or 1)
#: What depends on the server and on asyncio, but for tests marked `any_server`. Plans are another thing on each server:
#: each lane runs all of them.
_SHARED: Final = tuple(
    f"tests/{folder}/" for folder in ("concurrency", "faults", "integration", "isolation", "migrations")
)
#: What a quick session runs all of.
_QUICK: Final = "tests/unit/"
#: What is tried in this session.
PART: Final = os.environ.get(VARIABLE) or _part_of_the_commit()
WHOLE: Final = PART == ALL
#: What random walks begin with.
SEED: Final = 0 if WHOLE else int(PART)


def rotated(cases: Sequence[T], parts: int, part: str = PART) -> Sequence[T]:
    """Return the cases to try: every so many of them, or all. The parts from 0 to `parts` - 1 have each case once."""
    return cases if part == ALL else cases[int(part) % parts :: parts]


def rotated_names(names: Sequence[str], parts: int, part: str = PART) -> frozenset[str]:
    """Return the names of the cases to try. A digest orders them, so that a part has some of every dimension."""
    number = part if part == ALL else str(int(part) // _CASES)
    return frozenset(rotated(sorted(names, key=_digest), parts, number))


def share_of(file: str, names: Sequence[str], share: str = SHARE, part: str = PART) -> frozenset[str]:
    """Return which cases of a file are run in this session. The shares of one number have each case once."""
    if ALL in (share, part) or not file.startswith(_SHARED):
        return frozenset(names)
    which, parts = map(int, share.split("/"))
    first = int.from_bytes(_digest(file)) + int(part) + which
    return frozenset(sorted(names, key=_digest)[first % parts :: parts])


def sample_of(file: str, names: Sequence[str], sample: int = SAMPLE, part: str = PART) -> frozenset[str]:
    """Return which cases of a file a quick session runs: one of so many, and one of each file at least."""
    if sample == 1 or part == ALL or file.startswith(_QUICK):
        return frozenset(names)
    parts = min(sample, len(names))
    first = int.from_bytes(_digest(file)) + int(part)
    return frozenset(sorted(names, key=_digest)[first % parts :: parts])


def _digest(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()


@pytest.hookimpl(tryfirst=True)  # xdist adds the name of a group to that of a case
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that are not of this part or share, but none that the command line names."""
    cases: dict[tuple[str, int], list[str]] = defaultdict(list)
    for item in items:
        if parts := _parts(item):
            cases[item.nodeid.partition("[")[0], parts].append(item.nodeid)
    left_out = {
        name
        for (_, parts), names in cases.items()
        for name in set(names) - rotated_names(names, parts, PART) - set(config.args)
    }
    if not config.option.keyword:
        left_out |= _of_other_shares([item for item in items if item.nodeid not in left_out], set(config.args))
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def _of_other_shares(items: list[pytest.Item], named: set[str]) -> set[str]:
    """Return the cases that only another session runs, but for those that are named, or whose file is."""
    files: dict[str, list[str]] = defaultdict(list)
    for item in items:
        file = item.nodeid.partition("::")[0]
        if not named & {file, item.nodeid}:
            files[file].append(item.nodeid)
    anywhere = {item.nodeid for item in items if item.get_closest_marker("any_server")}
    left_out = set()
    for file, names in files.items():
        shared = [name for name in names if name not in anywhere]
        kept = set(names) - set(shared) | share_of(file, shared, SHARE, PART)
        left_out |= set(names) - (sample_of(file, sorted(kept), SAMPLE, PART) if kept else kept)
    return left_out


def _parts(item: pytest.Item) -> int | None:
    """Return into how many parts the cases of a test are divided, or None when its mark does not say so."""
    mark = item.get_closest_marker("rotates")
    return mark.kwargs.get("parts") if mark else None


def pytest_report_header() -> str:
    return f"{VARIABLE}={PART}: that part of what rotates; share {SHARE} of what depends on the server, one of {SAMPLE}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"{VARIABLE}={PART} tries the same part of what rotates again.")
