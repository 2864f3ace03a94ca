"""Take out each guard of guards.toml in turn, run the tests that name it, and write the table; `make mutants`.

Two guards are tried at a time, in two copies of the checkout and on one server. Exit code 1 when fewer than 95 of 100
guards are noticed, or when one that survives is not explained.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from livingworld.embedded_server import EmbeddedServer
from livingworld.testing.remover import remove
from livingworld.testing.server import ServerAddress
from livingworld.testing.throw_away_directory import throw_away_directory
from tests.mutants.copies import Copy
from tests.mutants.guard_list import GuardToRemove, guards
from tests.mutants.outcomes import KEPT, Outcome, keep, kept_outcomes, write_page
from tests.mutants.templates import Templates

NEEDED: Final = 0.95
_CONF: Final = {"shared_buffers": "128MB", "max_connections": "400", "autovacuum": "off"}


def main(arguments: Sequence[str]) -> int:
    """Try the guards and print the table; return the exit code."""
    options = _parser().parse_args(arguments)
    everything = guards()
    if not options.resume and not options.parts:
        KEPT.unlink(missing_ok=True)
    done = kept_outcomes(everything) if options.resume else {}
    chosen = [guard for guard in everything if guard.name not in done and _is_named(guard, options.parts)]
    with _copies(options.at_once) as copies:
        if not options.trust and (failed := _fail_with_all_guards(copies, chosen)):
            tell("These tests fail with all guards in place:", *failed)
            return 1
        _try_all(copies, chosen)
    outcomes = kept_outcomes(everything)
    if missing := [guard.name for guard in everything if guard.name not in outcomes]:
        tell(f"{len(missing)} guards were not tried yet; --resume tries them.")
        return 0
    write_page(everything, outcomes, datetime.now(UTC).date())
    return _judge(everything, outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Take out each guard in turn, and see that a test fails.")
    parser.add_argument("parts", nargs="*", help="parts of names: only such guards are tried")
    parser.add_argument("--at-once", type=int, default=2, help="how many guards are tried at a time")
    parser.add_argument("--resume", action="store_true", help="leave out guards that were tried as they stand")
    parser.add_argument("--trust", action="store_true", help="do not run the tests with all guards in place first")
    return parser


def _is_named(guard: GuardToRemove, parts: Sequence[str]) -> bool:
    return not parts or any(part in guard.name for part in parts)


@contextmanager
def _copies(number: int) -> Iterator[list[Copy]]:
    home = throw_away_directory("livingworld-mutants-")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="livingworld-mutants-") as folder,
            EmbeddedServer(home, durable=False, conf=_CONF) as server,
        ):
            url = ServerAddress(str(server.socket_directory)).url("postgres")
            templates = Templates(url)
            copies = [Copy(Path(folder) / f"copy-{each}", url, templates) for each in range(number)]
            yield copies
            for copy in copies:
                copy.close()
    finally:
        remove(home)


def _fail_with_all_guards(copies: Sequence[Copy], chosen: Sequence[GuardToRemove]) -> list[str]:
    tests = sorted({test for guard in chosen for test in guard.tests})
    shares = [tests[number :: len(copies)] for number in range(len(copies))]
    with ThreadPoolExecutor(len(copies)) as threads:
        pairs = [(copy, share) for copy, share in zip(copies, shares, strict=True) if share]
        runs = list(threads.map(lambda pair: pair[0].run(pair[1]), pairs))
    return [test for run in runs for test in (run.failed or ([run.output[-2000:]] if run.is_broken else []))]


def _try_all(copies: Sequence[Copy], chosen: Sequence[GuardToRemove]) -> None:
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def try_one(guard: GuardToRemove) -> None:
        copy = free.get()
        try:
            run = copy.run_without(guard)
        finally:
            free.put(copy)
        if run.is_broken:
            tell(f"BROKEN {guard.name}: no test was decided.", run.output[-3000:])
            return
        keep(Outcome(guard.name, guard.digest, run.failed[0] if run.failed else "", round(run.seconds, 1)))
        told = f"{run.failed[0]} ({run.reason})" if run.failed else "SURVIVES"
        tell(f"{run.seconds:6.1f} s  {guard.name}: {told}")

    with ThreadPoolExecutor(len(copies)) as threads:
        list(threads.map(try_one, chosen))


def _judge(everything: Sequence[GuardToRemove], outcomes: dict[str, Outcome]) -> int:
    survivors = [guard for guard in everything if not outcomes[guard.name].noticed_by]
    share = 1 - len(survivors) / len(everything)
    tell(f"{len(everything) - len(survivors)} of {len(everything)} are noticed ({share:.1%}).")
    for guard in survivors:
        tell(f"SURVIVES: {guard.name}: {guard.survives or 'not explained'}")
    return 1 if share < NEEDED or not all(guard.survives for guard in survivors) else 0


def tell(*lines: str) -> None:
    """Print lines at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
