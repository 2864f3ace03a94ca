"""A part of a product is the same for the same number, and the parts together are the whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support import rotation
from tests.support.rotation import ALL, VARIABLE, rotated, rotated_names, sample_of, share_of

ROOT = Path(__file__).parents[2]
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
SHARED = """
    import pytest

    @pytest.mark.any_server
    @pytest.mark.parametrize("number", range(4))
    def test_anywhere(number): ...

    @pytest.mark.parametrize("number", range(10))
    def test_on_each_server(number): ...
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
        cwd=ROOT,
        env=others | given,
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()


FILE = "tests/faults/test_it.py"


@pytest.mark.parametrize("names", [PRODUCT, PRODUCT[:3], PRODUCT[:1]])
def test_the_shares_of_a_file_have_each_case_once_in_any_order(names: list[str]) -> None:
    for part in ("4710", "4711"):
        shares = [share_of(FILE, names, share, part) for share in ("1/2", "2/2")]

        assert sorted(name for share in shares for name in share) == sorted(names)
        assert abs(len(shares[0]) - len(shares[1])) <= 1
        assert share_of(FILE, names[::-1], "1/2", part) == shares[0]
    assert share_of(FILE, names, "1/2", "4710") == share_of(FILE, names, "2/2", "4711")


def test_a_file_with_one_case_is_not_always_in_the_share_that_others_with_one_are() -> None:
    shares = [share_of(f"tests/faults/test_{number}.py", ["one"], "1/2", "4710") for number in range(40)]

    assert 5 < sum(map(bool, shares)) < 35


@pytest.mark.parametrize("length", [1, 2, 3, 48])
def test_the_samples_of_a_file_have_each_case_and_none_is_empty(length: int) -> None:
    names = PRODUCT[:length]
    samples = [sample_of(FILE, names, 3, part) for part in ("4710", "4711", "4712")]

    assert frozenset.union(*samples) == frozenset(names)
    assert {len(sample) for sample in samples} == {max(1, length // 3)}
    assert sample_of(FILE, names, 1, "4710") == sample_of(FILE, names, 3, ALL) == frozenset(names)
    assert sample_of("tests/unit/test_names.py", names, 3, "4710") == frozenset(names)


def test_migrations_are_divided_and_plans_are_not() -> None:
    divided, whole = (
        [share_of(file, PRODUCT, share, "4710") for share in ("1/2", "2/2")]
        for file in ("tests/migrations/test_upgrade_interrupted.py", "tests/query_plans/test_plans.py")
    )

    assert [len(half) for half in divided] == [24, 24]
    assert frozenset.union(*divided) == frozenset(PRODUCT)
    assert whole == [frozenset(PRODUCT), frozenset(PRODUCT)]


def test_commands_and_a_soak_are_whole() -> None:
    whole = frozenset(PRODUCT)

    assert share_of("tests/acceptance/test_demo.py", PRODUCT, "1/2", "4710") == whole
    assert share_of(FILE, PRODUCT, "1/2", ALL) == share_of(FILE, PRODUCT, ALL, "4710") == whole


def test_both_lanes_divide_by_one_number() -> None:
    """The number of the second is another one, and even where that of the first is."""
    (apart,) = re.findall(r"other_part=\$\(\(part \+ (\d+)\)\)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))

    assert int(apart) % 2 == 0
    assert int(apart) // 100 > 0 < int(apart) % 100


def test_one_half_is_left_out_but_for_what_is_marked_or_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.mkdir("tests") / "faults").mkdir()
    (pytester.path / FILE).write_text(dedent(SHARED), encoding="utf-8")
    halves = {}
    for share in ("1/2", "2/2"):
        monkeypatch.setattr(rotation, "SHARE", share)
        halves[share] = collected(pytester, monkeypatch, "0", "tests")
        for named in ([FILE], ["tests", "-k", "test_"]):
            assert len(collected(pytester, monkeypatch, "0", *named)) == 14
    anywhere = {name for name in halves["1/2"] if "anywhere" in name}

    monkeypatch.setattr(rotation, "SAMPLE", 3)
    assert len(collected(pytester, monkeypatch, "0", "tests")) == 3
    assert len(anywhere) == 4
    assert halves["1/2"] & halves["2/2"] == anywhere
    assert len(halves["1/2"] | halves["2/2"]) == 14
