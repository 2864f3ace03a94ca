"""A part of a product is the same for the same number, and the parts together are the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import rotation
from tests.support.rotation import ALL, VARIABLE, in_share, rotated, rotated_names

CASES = list(range(103))
OPTIONS = ["-p", "tests.support.rotation", "-o", "asyncio_default_fixture_loop_scope=function"]
PRODUCT = [f"test_it[{fault}-{moment}-{name}]" for fault in "ab" for moment in "xy" for name in range(12)]
MARKED = """
    import pytest

    @pytest.mark.rotates(parts=3)
    @pytest.mark.parametrize("number", range(10))
    def test_that_rotates(number): ...

    @pytest.mark.parametrize("number", range(4))
    def test_that_does_not(number): ...
"""


@pytest.mark.parametrize("parts", [1, 4, 97, 200])
def test_the_parts_have_each_case_once(parts: int) -> None:
    tried = [case for number in range(parts) for case in rotated(CASES, parts, str(number))]

    assert sorted(tried) == CASES


def test_a_part_is_every_so_many_and_all_is_all() -> None:
    assert rotated(CASES, 50, "1203") == [3, 53]
    assert rotated(CASES, 50, ALL) == CASES


@pytest.mark.parametrize("parts", [1, 2, 5, 60])
def test_the_parts_of_names_have_each_name_once_in_any_order(parts: int) -> None:
    tried = [name for number in range(parts) for name in rotated_names(PRODUCT, parts, f"{number}47")]

    assert sorted(tried) == sorted(PRODUCT)
    assert rotated_names(PRODUCT, parts, "700") == rotated_names(PRODUCT[::-1], parts, "799")
    assert rotated_names(PRODUCT, parts, ALL) == set(PRODUCT)


@pytest.mark.parametrize("part", ["0", "100", "200", "300"])
def test_a_part_of_a_product_has_some_of_every_dimension(part: str) -> None:
    kept = rotated_names(PRODUCT, 4, part)

    assert {name[8:11] for name in kept} == {"a-x", "a-y", "b-x", "b-y"}


def test_a_dimension_as_long_as_there_are_parts_is_in_every_part() -> None:
    names = [f"test_it[{number}-{way}]" for number in range(16) for way in ("once", "always")]

    for part in ("0", "100"):
        assert {name.partition("-")[2] for name in rotated_names(names, 2, part)} == {"once]", "always]"}


def test_the_parts_of_a_marked_test_are_together_the_whole(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(MARKED)
    parts = [collected(pytester, monkeypatch, part) for part in ("0", "100", "200")]
    rotating = [name for names in parts for name in names if "test_that_rotates" in name]

    assert sorted(len(names) for names in parts) == [7, 7, 8]
    assert sorted(rotating) == sorted(set(rotating))
    assert set().union(*parts) == collected(pytester, monkeypatch, ALL)


def test_a_case_that_is_named_on_the_command_line_is_tried(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pytester.makepyfile(MARKED).name
    names = {f"{file}::test_that_rotates[{number}]" for number in range(10)}

    assert collected(pytester, monkeypatch, "0", *names) == names


def collected(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, part: str, *names: str) -> set[str]:
    """Return the names of the tests that a session with this part would try."""
    monkeypatch.setattr(rotation, "PART", part)
    session = pytester.inline_run("--collect-only", *OPTIONS, *names)
    (finished,) = session.getcalls("pytest_collection_finish")
    return {item.nodeid for item in finished.session.items}


@pytest.mark.parametrize(("given", "part"), [({VARIABLE: "12"}, "12"), ({VARIABLE: "all"}, "all")])
def test_the_variable_decides(given: dict[str, str], part: str) -> None:
    assert part_in(given) == part


def test_a_commit_has_one_part() -> None:
    without: dict[str, str] = {}

    assert part_in(without) == part_in(without)
    assert int(part_in(without)) in range(10_000)


def part_in(given: dict[str, str]) -> str:
    """Return what another session would try."""
    others = {name: value for name, value in os.environ.items() if name != VARIABLE}
    look = "from tests.support.rotation import PART; print(PART)"
    asked = subprocess.run(
        [sys.executable, "-c", look],
        cwd=Path(__file__).parents[2],
        env=others | given,
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()


def test_the_shares_of_the_files_are_together_the_whole_and_plans_are_in_each() -> None:
    files = [f"tests/integration/test_{number}.py" for number in range(200)]
    shares = [{file for file in files if in_share(file, 2, part)} for part in ("4710", "4711")]

    assert set.union(*shares) == set(files)
    assert set.intersection(*shares) == set()
    assert min(map(len, shares)) > 50
    assert all(in_share("tests/query_plans/test_plans.py", 2, part) for part in ("4710", "4711", ALL))
    assert all(in_share(file, 2, ALL) and in_share(file, 1, "4711") for file in files)
