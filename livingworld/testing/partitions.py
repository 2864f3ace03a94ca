"""Tests on a database whose largest tables are cut by world: LIVINGWORLD_TEST_PARTITIONS says into how many."""

from __future__ import annotations

import os
from typing import Final

from livingworld.postgres.distribution.partitioning import partition
from livingworld.schema import metadata
from livingworld.story.worlds.isolation import keep_isolated

VARIABLE: Final = "LIVINGWORLD_TEST_PARTITIONS"


async def partition_for_tests(url: str) -> None:
    """Cut the tables of the template, if the variable names a number."""
    count = int(os.environ.get(VARIABLE) or 0)
    if count:
        await partition(url, metadata, count, complete=keep_isolated, report=lambda _: None)
