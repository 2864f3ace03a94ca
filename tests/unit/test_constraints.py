"""constraints.txt makes every install the same one."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def constraint_lines() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def pins() -> dict[str, str]:
    requirements = [Requirement(line) for line in constraint_lines()]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in requirements}


def declared() -> list[Requirement]:
    """Everything that pyproject.toml asks for, the build backend included, our own extras left out."""
    described = project()
    lines = [*described["build-system"]["requires"], *described["project"]["dependencies"]]
    for extra in described["project"]["optional-dependencies"].values():
        lines += extra
    return [each for each in map(Requirement, lines) if each.name != "livingworld"]


def oldest(name: str) -> str:
    """The lowest version that pyproject.toml allows."""
    (requirement,) = {each for each in declared() if each.name == name}
    return next(each.version for each in requirement.specifier if each.operator == ">=")


def requirements_of(requirement: Requirement) -> list[Requirement]:
    """What an installed package needs here, with the extras that were asked for."""
    try:
        needed = [Requirement(line) for line in requires(requirement.name) or ()]
    except PackageNotFoundError:
        return []
    extras = requirement.extras or {""}
    return [each for each in needed if each.marker is None or any(each.marker.evaluate({"extra": e}) for e in extras)]


def test_a_constraint_is_one_exact_version() -> None:
    versions = [list(Requirement(line).specifier) for line in constraint_lines()]

    assert versions
    assert all(len(each) == 1 and each[0].operator == "==" for each in versions)
    assert not [line for line in constraint_lines() if "://" in line or "@" in line]


def test_every_declared_dependency_is_pinned_within_its_range() -> None:
    pinned = pins()
    outside = [
        str(each) for each in declared() if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "0"))
    ]

    assert not outside


def test_the_tests_run_on_the_sqlalchemy_that_was_asked_for() -> None:
    """`make SQLALCHEMY=2.0.58 test` asks for another one than the pinned."""
    assert version("sqlalchemy") == (os.environ.get("SQLALCHEMY") or pins()["sqlalchemy"])


def test_ci_runs_the_tests_on_the_newest_and_the_oldest_sqlalchemy() -> None:
    assert f"sqlalchemy={oldest('sqlalchemy')} " in (ROOT / ".ci" / "run").read_text()
    assert pins()["sqlalchemy"].startswith("2.1.")


def test_every_package_that_the_dependencies_need_is_pinned() -> None:
    pinned, waiting, seen = pins(), declared(), set[str]()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(str(requirement))
        requirement.marker = None
        waiting += requirements_of(requirement)

    assert {canonicalize_name(Requirement(each).name) for each in seen} <= set(pinned)
