from __future__ import annotations

import pytest

from livingworld.postgres.migration_run import Counts, lost_data

BEFORE: Counts = {"worlds": {"*": 2, "name": 2, "tenant": 1}, "scenes": {"*": 3, "content": 3}}


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        (BEFORE, {}),
        ({**BEFORE, "scenes": {"*": 4, "content": 4}}, {}),
        ({**BEFORE, "scenes": {"*": 1, "content": 1}}, {"scenes": 2}),
        ({"worlds": BEFORE["worlds"]}, {"scenes": 3}),
        ({**BEFORE, "worlds": {"*": 2, "name": 2}}, {"worlds.tenant": 1}),
    ],
)
def test_rows_and_values_that_are_gone_are_counted(after: Counts, lost: dict[str, int]) -> None:
    assert lost_data(BEFORE, after) == lost
