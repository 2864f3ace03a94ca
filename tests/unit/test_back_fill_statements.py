"""Where tables are distributed, a batch of a back-fill reads, locks and writes rows of one world."""

from __future__ import annotations

from uuid import uuid4

import pytest

from livingworld.postgres.upgrades.back_fill import BackFillKey, next_batch
from tests.support.distribution_rules import broken_rules

KEY = (["world_id", "story_id"], ["uuid", "uuid"])


@pytest.mark.parametrize("batch", ["first", "next"])
def test_a_batch_of_a_world_stays_on_its_shard(batch: str) -> None:
    key, first = BackFillKey(*KEY, world_id=uuid4()), batch == "first"

    statement = next_batch("livingworld.stories", key, "tone IS NULL", "tone = lower(title)", first=first)

    assert broken_rules(statement) == []


def test_a_batch_of_all_worlds_does_not() -> None:
    statement = next_batch("livingworld.stories", BackFillKey(*KEY), "tone IS NULL", "tone = lower(title)", first=True)

    assert broken_rules(statement) != []
