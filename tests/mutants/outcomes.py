"""What became of each guard that was tried, kept from run to run, and the page that says it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final

from tests.mutants.guard_list import ROOT, GuardToRemove

KEPT: Final = ROOT / "build" / "mutants.jsonl"
PAGE: Final = ROOT / "docs" / "explanation" / "mutants.md"
_PAGE: Final = """\
# Mutants

What keeps a promise is taken out, and a test has to fail. `make mutants` does so with each guard below in turn: a lock,
a recheck behind a lock, a constraint, the comparison of a token, a record that is written last, an order; in SQL and in
Python. `tests/mutants/guards.toml` has them, and which tests to run. This page is what the last run of all wrote.

On {day} {noticed} of {guards} guards were noticed, {share:.1%}; at least 95 % have to be. The runs took
{minutes:.0f} minutes together.
{survivors}
| guard | kind | in | noticed by |
|---|---|---|---|
{rows}
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one guard that was taken out."""

    name: str
    #: Of the entry that was tried.
    digest: str
    #: The first test that failed; empty: none did.
    noticed_by: str
    seconds: float


def kept_outcomes(guards: Sequence[GuardToRemove]) -> dict[str, Outcome]:
    """Return the last outcome of each of these guards that was tried as it stands in the list, by its name."""
    if not KEPT.exists():
        return {}
    digests = {guard.name: guard.digest for guard in guards}
    outcomes = (Outcome(**json.loads(line)) for line in KEPT.read_text(encoding="utf-8").splitlines())
    return {outcome.name: outcome for outcome in outcomes if digests.get(outcome.name) == outcome.digest}


def keep(outcome: Outcome) -> None:
    """Keep an outcome."""
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def write_page(guards: Sequence[GuardToRemove], outcomes: Mapping[str, Outcome], day: date) -> None:
    """Write the page of all guards, in the order of the list."""
    noticed = sum(1 for guard in guards if outcomes[guard.name].noticed_by)
    text = _PAGE.format(
        day=day.isoformat(),
        noticed=noticed,
        guards=len(guards),
        share=noticed / len(guards),
        minutes=sum(outcome.seconds for outcome in outcomes.values()) / 60,
        survivors=_survivors(guards, outcomes),
        rows="\n".join(_row(guard, outcomes[guard.name]) for guard in guards),
    )
    PAGE.write_text(text, encoding="utf-8")


def page_rows() -> list[list[str]]:
    """Return the cells of each row of the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return rows[1:]


def page_survivors() -> frozenset[str]:
    """Return what the page says of the guards that nothing noticed."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return frozenset(line.removeprefix("- ") for line in lines if line.startswith("- "))


def _survivors(guards: Sequence[GuardToRemove], outcomes: Mapping[str, Outcome]) -> str:
    lines = [f"- {guard.name}: {guard.survives}." for guard in guards if not outcomes[guard.name].noticed_by]
    return "\n".join(["\nNot noticed, because something else keeps the promise too:\n", *lines, ""]) if lines else ""


def _row(guard: GuardToRemove, outcome: Outcome) -> str:
    file = guard.file.removeprefix("livingworld/")
    test = outcome.noticed_by.removeprefix("tests/").partition("[")[0].replace("::", "` `")
    return f"| {guard.name} | {guard.kind} | `{file}` | {f'`{test}`' if test else 'nothing'} |"
