from __future__ import annotations

from datetime import timedelta

import pytest

from livingworld.errors import InvalidSettings
from livingworld.settings.settings import Settings


@pytest.mark.parametrize(
    ("written", "meant"),
    [("2", timedelta(seconds=2)), ("0.25", timedelta(seconds=0.25)), ("00:00:02", timedelta(seconds=2))],
)
def test_a_plain_number_in_the_environment_means_seconds(
    written: str, meant: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVINGWORLD_LOCK_TIMEOUT", written)

    assert Settings.load().lock_timeout == meant


@pytest.mark.parametrize("written", ["", "soon", "0", "-1", "nan", "inf", "1e9"])
def test_a_duration_that_cannot_be_waited_for_is_refused(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGWORLD_LOCK_TIMEOUT", written)

    with pytest.raises(InvalidSettings) as refused:
        Settings.load()

    assert refused.value.field == "lock_timeout"
