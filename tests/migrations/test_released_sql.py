"""What was released is never changed: the next behaviour is the next revision, and `_v2`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASED = {
    "alembic/versions/0001_expand_foundation.py": "097ed4f9262be056fbced9bd069184aff7f3b1ed92bc81263efd48cd7b907061",
    "livingworld/stories/append_scenes_v1.sql": "acdcc023329430440b300024625c13d82216de3f6531b7a07b64e1f8855da540",
    "alembic/versions/0002_expand_turns.py": "4e64ca03b0c244703cee6b9edffae3f6217aa0a0878f7f4752718c9356d213d5",
    "livingworld/turns/await_turn_v1.sql": "6ea48f8af947bb1e00f86002e797d396b5563f8f61592f7d3b52b60d4f11a4eb",
    "livingworld/turns/choose_generation_v1.sql": "b96583827452bda5984f5b7b9afd8f205952eaf875323e07e912bacd5e509d02",
    "livingworld/turns/commit_turns_v1.sql": "929443fbcc43e9571d5f1682193e90006c71b0ad82c546d014d7645fdf99f48c",
    "livingworld/turns/make_characters_v1.sql": "46ae3f612db4b8c32ad584a6ec3b0592608e56a4e196b19baa93129a47471b55",
    "livingworld/turns/retold_place_v1.sql": "fe8e6c2cc912e6e091220cebea1faad27b4ad996e05c7e5d7dee63e02628628d",
    "livingworld/turns/take_turns_v1.sql": "7f07c63a1315fc10528aeccd5e89e4be74d31e09028d14568243000115160408",
    "livingworld/turns/turn_contexts_v1.sql": "6e04fa7f182d50e81617042d9292f0b57e67917504e9aac1609ed7059a5ca573",
}


@pytest.mark.parametrize("name", RELEASED)
def test_released_sql_is_as_it_was_released(name: str) -> None:
    assert sha256((ROOT / name).read_bytes()).hexdigest() == RELEASED[name]


def test_nothing_that_is_installed_is_forgotten() -> None:
    revisions = {f"alembic/versions/{path.name}" for path in (ROOT / "alembic" / "versions").glob("*.py")}
    functions = {str(path.relative_to(ROOT)) for path in (ROOT / "livingworld").rglob("*_v[0-9]*.sql")}

    assert revisions | functions == RELEASED.keys()
