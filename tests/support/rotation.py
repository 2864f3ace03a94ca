"""Large products of cases: each commit tries another part of them, and `make soak` tries the whole.

`LIVINGWORLD_TEST_PART` is a number, or `all`; without it the number is the digest of the commit.
`@pytest.mark.rotates(parts=4)` keeps one of four parts of the cases of a test. A test that goes through cases itself is
marked with `@pytest.mark.rotates` and takes them from `rotated`.

`LIVINGWORLD_TEST_SHARE=2`, in the second lane of `.ci/run`, keeps one of two parts of the files too, and all of those
whose outcome depends on the server's release the most.
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


#: One of so many parts of the files is run.
SHARE: Final = int(os.environ.get("LIVINGWORLD_TEST_SHARE") or 1)
#: Plans, migrations and budgets are those of a release of the server.
_ALWAYS: Final = ("tests/query_plans/", "tests/migrations/", "tests/budgets/")
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


def in_share(file: str, share: int = SHARE, part: str = PART) -> bool:
    """Return whether the tests of a file are run in this session."""
    if share == 1 or part == ALL or file.startswith(_ALWAYS):
        return True
    return int.from_bytes(_digest(file)) % share == int(part) % share


def _digest(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()


@pytest.hookimpl(tryfirst=True)  # xdist adds the name of a group to that of a case
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases of `rotates(parts=...)` that are not of this part, but none that the command line names."""
    cases: dict[tuple[str, int], list[str]] = defaultdict(list)
    for item in items:
        if parts := _parts(item):
            cases[item.nodeid.partition("[")[0], parts].append(item.nodeid)
    left_out = {
        name
        for (_, parts), names in cases.items()
        for name in set(names) - rotated_names(names, parts, PART) - set(config.args)
    }
    left_out |= {item.nodeid for item in items if not in_share(item.nodeid.partition("::")[0])} - set(config.args)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def _parts(item: pytest.Item) -> int | None:
    """Return into how many parts the cases of a test are divided, or None when its mark does not say so."""
    mark = item.get_closest_marker("rotates")
    return mark.kwargs.get("parts") if mark else None


def pytest_report_header() -> str:
    return f"{VARIABLE}={PART}: that part of what rotates; 'all' tries the whole"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"{VARIABLE}={PART} tries the same part of what rotates again.")
