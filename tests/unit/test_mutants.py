"""The list of guards that `make mutants` takes out is about the code as it is, and so is the page of the last run."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache

import pytest

from tests.mutants.guard_list import ROOT, GuardToRemove, guards
from tests.mutants.outcomes import page_rows, page_survivors

KINDS = {"lock", "recheck", "constraint", "token", "record-last", "ordering"}
#: A page is of a run of all guards, after which few are added before the next one.
FEW = 10


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions) and node.name.startswith("test_"))


@pytest.mark.any_server
@pytest.mark.parametrize("guard", guards(), ids=lambda guard: guard.name.replace(" ", "-"))
def test_a_guard_stands_once_in_its_file_and_its_tests_are_there(guard: GuardToRemove) -> None:
    text = (ROOT / guard.file).read_text(encoding="utf-8")

    assert text.count(guard.takes_out) == 1
    assert guard.takes_out != guard.leaves
    assert guard.tests
    for test in guard.tests:
        file, _, name = test.partition("::")
        assert name in names_in(file) if name else (ROOT / file).is_file()


@pytest.mark.any_server
def test_every_kind_of_guard_is_taken_out_in_sql_and_in_python() -> None:
    assert Counter(guard.kind for guard in guards()).keys() == KINDS
    assert {guard.file.rpartition(".")[2] for guard in guards()} == {"sql", "py"}


@pytest.mark.any_server
def test_no_two_guards_have_one_name_or_are_one_change() -> None:
    assert Counter(guard.name for guard in guards()).most_common(1)[0][1] == 1
    assert Counter((guard.file, guard.takes_out, guard.leaves) for guard in guards()).most_common(1)[0][1] == 1


@pytest.mark.any_server
def test_the_page_has_the_guards_of_the_list_and_says_who_noticed_that_each_was_gone() -> None:
    listed = {guard.name: guard for guard in guards()}
    rows = {name: (kind, file, noticed_by) for name, kind, file, noticed_by in page_rows()}

    assert not rows.keys() - listed.keys()
    assert len(listed.keys() - rows.keys()) <= FEW
    for name, (kind, file, noticed_by) in rows.items():
        guard = listed[name]
        assert (kind, file) == (guard.kind, f"`{guard.file.removeprefix('livingworld/')}`")
        if noticed_by == "nothing":
            assert guard.survives
            assert f"{name}: {guard.survives}." in page_survivors()
        else:
            place, test = noticed_by.replace("`", "").split(" ")
            assert test in names_in(f"tests/{place}")
