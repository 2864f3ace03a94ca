"""Nothing works in the background of what is counted here."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _without_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGWORLD_INDEX_WORDS", "false")
