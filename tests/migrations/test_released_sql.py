"""What was released is never changed: the next behaviour is the next revision, and `_v2`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASED = {
    "alembic/versions/0001_expand_foundation.py": "097ed4f9262be056fbced9bd069184aff7f3b1ed92bc81263efd48cd7b907061",
    "livingworld/stories/append_scenes_v1.sql": "acdcc023329430440b300024625c13d82216de3f6531b7a07b64e1f8855da540",
}


@pytest.mark.parametrize("name", RELEASED)
def test_released_sql_is_as_it_was_released(name: str) -> None:
    assert sha256((ROOT / name).read_bytes()).hexdigest() == RELEASED[name]


def test_nothing_that_is_installed_is_forgotten() -> None:
    revisions = {f"alembic/versions/{path.name}" for path in (ROOT / "alembic" / "versions").glob("*.py")}
    functions = {str(path.relative_to(ROOT)) for path in (ROOT / "livingworld").rglob("*_v[0-9]*.sql")}

    assert revisions | functions == RELEASED.keys()
