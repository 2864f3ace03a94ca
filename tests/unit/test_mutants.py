"""The list of guards that `make mutants` takes out is about the code as it is."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.mutants.run_mutants import ROOT, GuardToRemove, guards

KINDS = {"lock", "recheck", "constraint", "token", "record-last", "ordering"}


@pytest.mark.any_server
@pytest.mark.parametrize("guard", guards(), ids=lambda guard: guard.name.replace(" ", "-"))
def test_a_guard_stands_once_in_its_file_and_its_tests_are_there(guard: GuardToRemove) -> None:
    text = (ROOT / guard.file).read_text(encoding="utf-8")

    assert text.count(guard.takes_out) == 1
    assert guard.takes_out != guard.leaves
    assert [test for test in guard.tests if not (ROOT / test).is_file()] == []
    assert guard.tests


@pytest.mark.any_server
def test_every_kind_of_guard_is_taken_out_in_sql_and_in_python() -> None:
    assert Counter(guard.kind for guard in guards()).keys() == KINDS
    assert {guard.file.rpartition(".")[2] for guard in guards()} == {"sql", "py"}
