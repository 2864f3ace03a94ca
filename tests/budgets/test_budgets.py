"""No operation costs more than its budget in budgets.toml, whose lines a failure prints as they would be now."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.budgets.measures import Costs, measure

_FILE: Final = Path(__file__).with_name("budgets.toml")
#: Of what differs a little between versions of Python, PostgreSQL and the driver.
_SLACK: Final = {
    "function_calls": 1.15,
    "allocated_bytes": 1.25,
    "pages": 1.15,
    "wal_bytes": 1.05,
    "statements": 1.0,
    "modules": 1.05,
    "calls_of_counting": 1.15,
    "calls_below_a_trace_that_is_left_out": 1.15,
    "calls_of_a_span_beside_those_of_the_sdk": 1.15,
}


def over_budget(costs: Costs, budgets: Costs) -> list[str]:
    """Return what costs more than its budget, and what has none."""
    return [
        f"{operation}: {measured} {name}, budget {budgets.get(operation, {}).get(name)}"
        for operation, row in costs.items()
        for name, measured in row.items()
        if measured > budgets.get(operation, {}).get(name, 0) * _SLACK[name]
    ]


@pytest.mark.slow
@pytest.mark.all_worlds("what isolation costs more is measured by benchmarks/row_security.py")
async def test_no_operation_costs_more_than_its_budget(database_url: str) -> None:
    costs = await measure(database_url)
    sys.stderr.write(as_toml(costs))  # shown when the test fails

    assert over_budget(costs, tomllib.loads(_FILE.read_text())) == []


@pytest.mark.any_server
def test_one_more_statement_and_an_operation_without_a_budget_are_over() -> None:
    budgets = {"head": {"statements": 1}}

    assert over_budget({"head": {"statements": 1}}, budgets) == []
    assert over_budget({"head": {"statements": 2}}, budgets) == ["head: 2 statements, budget 1"]
    assert over_budget({"tail": {"statements": 1}}, budgets) == ["tail: 1 statements, budget None"]


def as_toml(costs: Costs) -> str:
    """Return costs as the file has them."""
    tables = (
        f'["{operation}"]\n' + "".join(f"{name} = {value}\n" for name, value in sorted(row.items()))
        for operation, row in costs.items()
    )
    return "\n".join(tables)
