from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.distribution_rules import statements_of_function
from tests.support.row_comparisons import unbounded_comparisons

PACKAGE = Path(str(files("livingworld")))
FILES = sorted(PACKAGE.rglob("*.sql"))
_NAMED = re.compile(r"(?<![:\w]):[a-z]\w*")  # parameters as SQLAlchemy names them
UNBOUNDED = [
    "SELECT FROM s WHERE w = $1 AND (t, i, p) >= (1, $2, 81) AND (t, i, p) <= (1, $2, 100)",
    "SELECT FROM s WHERE w = $1 AND (t, i, p) >= (1, $2, 81) AND (t, i, p) <= (1, $2, 100) OFFSET 0",
    "SELECT FROM s WHERE w = $1 AND (a, b) < ($2, $3) ORDER BY a DESC, b DESC",
    "SELECT FROM s WHERE w = $1 AND (a, b) < ($2, $3) LIMIT 5",
    "SELECT FROM s WHERE w = $1 AND (a, b) < ($2, $3) ORDER BY a, b LIMIT 5",
    "SELECT FROM s WHERE w = $1 AND (a, b) < ($2, $3) ORDER BY b DESC, a DESC LIMIT 5",
    "SELECT FROM s WHERE w = $1 AND (a, b) < ($2, $3) ORDER BY a DESC, b LIMIT 5",
    "SELECT FROM s WHERE w = $1 AND ((a, b) < ($2, $3) OR c) ORDER BY a DESC, b DESC LIMIT 5",
    "SELECT FROM s WHERE w = $1 AND ($2, $3) > (a, b) ORDER BY a DESC, b DESC LIMIT 5",
    "SELECT FROM (SELECT * FROM s WHERE w = $1 AND (a, b) > ($2, $3)) s ORDER BY a, b LIMIT 5",
    "UPDATE s SET c = 1 WHERE w = $1 AND (a, b) < ($2, $3)",
]
BOUNDED = [
    "SELECT FROM s WHERE w = $1 AND t = 1 AND i = $2 AND p BETWEEN 81 AND 100",
    "SELECT FROM s WHERE w = $1 AND (t, i) = (1, $2) AND p < 9",
    "SELECT FROM s WHERE w = $1 AND (a, b) < ($2, $3) ORDER BY s.a DESC, s.b DESC LIMIT 5",
    "SELECT FROM s WHERE w = $1 AND (a, b) > ($2, $3) ORDER BY a, b, c LIMIT $4",
    "SELECT FROM s WHERE w = $1 AND (a, b) >= ($2, 1) AND (a, b) <= ($2, 20) ORDER BY a, b LIMIT 20",
    "SELECT FROM t, LATERAL (SELECT FROM s WHERE (a, b) >= (t.a, 1) ORDER BY a, b LIMIT 20) s",
]


@pytest.mark.parametrize("statement", UNBOUNDED)
def test_a_row_comparison_that_reads_on_is_found(statement: str) -> None:
    assert unbounded_comparisons(statement) != []


@pytest.mark.parametrize("statement", BOUNDED)
def test_one_that_says_where_to_begin_and_how_many_is_not(statement: str) -> None:
    assert unbounded_comparisons(statement) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_statement_in_a_file_reads_on_behind_what_it_returns(file: Path) -> None:
    text = _NAMED.sub("$1", file.read_text())
    statements = statements_of_function(text) if "CREATE FUNCTION" in text else [text]

    assert statements
    assert {statement: found for statement in statements if (found := unbounded_comparisons(statement))} == {}
