"""Every error stands in one branch of the tree: what the caller does next depends on nothing else."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Final

import pytest

import livingworld
from livingworld import errors
from tests.support.error_branches import CONFLICTS, REFUSALS

PAGE: Final = Path(__file__).parents[2] / "docs/reference/errors.md"
ROW: Final = re.compile(r"^\| `(\w+)`(?: \(`(\w+)`\))? \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ERRORS: Final = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.LivingWorldError)
}

BRANCHES: Final = {
    errors.InvalidInput: {"wrong_input"},
    errors.NotFound: {"not_found"},
    errors.Conflict: {"conflicts"},
    errors.Refused: {"refusals"},
    errors.Timeout: {"waits"},
    errors.Unavailable: {"waits", "connections"},
    errors.ConnectionRejected: {"connections"},
}


def below(branch: type[errors.LivingWorldError]) -> set[str]:
    return {name for name, kind in ERRORS.items() if issubclass(kind, branch) and kind is not branch}


def rows() -> dict[str, tuple[str, ...]]:
    return {row[0]: row for row in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def test_what_a_retry_cures_and_what_it_does_not_are_two_branches() -> None:
    assert below(errors.Conflict) == CONFLICTS.keys()
    assert below(errors.Refused) == REFUSALS.keys()


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_in_one_branch_and_in_the_file_of_its_branch(name: str) -> None:
    branches = [branch for branch in BRANCHES if issubclass(ERRORS[name], branch)]

    assert len(branches) <= 1
    expected = BRANCHES[branches[0]] if branches else {"failures"}
    if ERRORS[name] is not errors.LivingWorldError:
        assert ERRORS[name].__module__.removeprefix("livingworld.errors.") in expected


def test_every_error_is_on_the_page_and_nothing_else_is() -> None:
    assert rows().keys() == ERRORS.keys() - {"LivingWorldError"}


@pytest.mark.parametrize("name", ERRORS.keys() - {"LivingWorldError"})
def test_the_page_names_the_base_the_next_step_and_a_status(name: str) -> None:
    _, base, when, step, status = rows()[name]

    assert (base or "LivingWorldError") == ERRORS[name].__bases__[0].__name__
    assert len(when) > 10
    assert re.match(r"\*\*(retry|re-read|fix the call|wait|operate|give up)\*\*", step), step
    assert status in {"409", "404", "422", "429", "500", "503", "504", "—"}


def test_what_a_retry_cures_is_never_called_a_wrong_call() -> None:
    steps = {name: re.findall(r"\*\*([a-z -]+)\*\*", row[3])[0] for name, row in rows().items()}

    assert {steps[name] for name in below(errors.Conflict)} <= {"retry", "re-read", "wait", "give up"}
    assert not {steps[name] for name in below(errors.Refused)} & {"retry", "re-read", "wait"}


def test_every_error_is_a_name_of_the_package() -> None:
    for name, kind in ERRORS.items():
        assert getattr(livingworld, name) is kind
        assert name in livingworld.__all__
    assert len(livingworld.__all__) == len(set(livingworld.__all__))


def test_the_guide_for_a_web_api_gives_each_error_the_status_of_its_row() -> None:
    guide = (PAGE.parents[1] / "guides/web-api.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^    errors\.(\w+): (\d{3}),$", guide, re.MULTILINE))

    for name, row in rows().items():
        nearest = next(table[kind.__name__] for kind in ERRORS[name].__mro__ if kind.__name__ in table)
        assert row[4] in {nearest, "—"}, name
