from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _calls_wait_in_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls of one process meet in PostgreSQL, as those of many processes do.

    Otherwise one of them at most waits for a row there, and the guards of the database are not what is tested.
    """
    monkeypatch.setenv("LIVINGWORLD_PROMPT_LOCK_TIMEOUT", "20")
    monkeypatch.setenv("LIVINGWORLD_LOCK_TIMEOUT", "20")
    monkeypatch.setenv("LIVINGWORLD_POOL_SIZE", "16")
