from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from livingworld import Settings
from livingworld.errors import InvalidSettings
from livingworld.postgres.connections.engine import _session_options
from livingworld.settings.database_url import connection_target
from livingworld.settings.environment import OTHER_VARIABLES

ROOT = Path(__file__).parents[2]
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
    target = connection_target("postgresql://a@b/c")
    direct = _session_options(Settings.load(), target)
    pooled = _session_options(Settings.load(behind_pooler=True), target)

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


def test_a_file_of_the_certificate_authority_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(InvalidSettings, match=r"tls_ca_file: .*No such file"):
        Settings.load(tls_ca_file=Path("no-such-file.pem"))


def test_an_unknown_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGWORLD_POOLSIZE", SECRET)

    with pytest.raises(InvalidSettings, match=r"LIVINGWORLD_POOLSIZE: .*do you mean LIVINGWORLD_POOL_SIZE") as caught:
        Settings.load(pool_size=3)
    assert SECRET not in str(caught.value)


def test_an_unknown_variable_that_resembles_none_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGWORLD_XYZZY", "1")

    with pytest.raises(InvalidSettings, match=r"LIVINGWORLD_XYZZY: .*docs/reference/settings\.md"):
        Settings.load()


@pytest.mark.parametrize("name", sorted(OTHER_VARIABLES))
def test_a_variable_that_somebody_else_reads_is_no_mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")

    assert Settings.load().pool_size == 10


def test_every_variable_that_this_repository_names_is_known() -> None:
    known = {f"LIVINGWORLD_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES.keys()
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    named = {
        (found, file)
        for file in files
        if file != Path(__file__).relative_to(ROOT).as_posix() and (ROOT / file).is_file()
        for found in re.findall(r"LIVINGWORLD_[A-Z][A-Z_]*[A-Z]", (ROOT / file).read_text(errors="replace"))
    }

    assert {found for found, _ in named} >= OTHER_VARIABLES.keys()
    assert not {(found, file) for found, file in named if found not in known}
