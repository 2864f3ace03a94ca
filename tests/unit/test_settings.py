from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from livingworld import Settings
from livingworld.database.engine import _connect_arguments
from livingworld.errors import InvalidSettings

SECRET = "correct-horse"


def test_the_environment_sets_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGWORLD_DATABASE_URL", "postgresql://a@b/c")
    monkeypatch.setenv("LIVINGWORLD_LOCK_TIMEOUT", "2")
    monkeypatch.setenv("LIVINGWORLD_POOL_SIZE", "3")

    settings = Settings.load(pool_size=4)

    assert settings.lock_timeout == timedelta(seconds=2)
    assert settings.pool_size == 4
    assert str(settings.url()) == "postgresql+asyncpg://a@b/c"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database_url", "mysql://a@b/c"),
        ("database_url", f"not a url {SECRET}"),
        ("pool_size", 0),
        ("statement_timeout", timedelta(0)),
        ("conflict_retries", -1),
        ("lock_timeout", timedelta(seconds=31)),
        ("command_timeout", timedelta(seconds=29)),
        ("no_such_setting", 1),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.load(**{field: value})

    assert field in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_password_is_in_no_text_of_the_settings() -> None:
    settings = Settings.load(database_url=f"postgresql://a:{SECRET}@b/c")

    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.url()}"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().pool_size = 3


def test_every_limit_is_a_startup_parameter_except_behind_a_pooler() -> None:
    direct = _connect_arguments(Settings.load(), None)
    pooled = _connect_arguments(Settings.load(behind_pooler=True), None)

    assert direct["server_settings"] == {
        "application_name": "livingworld",
        "statement_timeout": "30000ms",
        "lock_timeout": "25ms",
        "idle_in_transaction_session_timeout": "60000ms",
        "default_transaction_isolation": "read committed",
        "jit": "off",
    }
    assert pooled["server_settings"] == {"application_name": "livingworld"}
    assert pooled["statement_cache_size"] == 0


def test_a_tls_context_reaches_the_driver() -> None:
    context = ssl.create_default_context()

    assert _connect_arguments(Settings.load(tls=context), None)["ssl"] is context
    with pytest.raises(OSError, match="No such file"):
        Settings.load(tls_ca_file=Path("no-such-file.pem")).tls_context()
