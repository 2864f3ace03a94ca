from __future__ import annotations

from pathlib import Path

import pytest

from livingworld.postgres import migrations
from tests.migrations.later_release import make_later_release


@pytest.fixture(scope="session")
def later_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the migrations of a later release once."""
    return make_later_release(tmp_path_factory.mktemp("later") / "migrations")


@pytest.fixture
def later(later_release: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process be of the later release, as far as its migrations are concerned."""
    monkeypatch.setattr(migrations, "script_location", lambda: later_release)
    return later_release
