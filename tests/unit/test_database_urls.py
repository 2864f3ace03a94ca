"""A URL as libpq reads it becomes what asyncpg takes; what asyncpg cannot keep is refused by name."""

from __future__ import annotations

import re
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from livingworld import Settings
from livingworld.errors import InvalidSettings
from livingworld.postgres.connections.engine import _session_options
from livingworld.settings.database_url import Address, ConnectionTarget, connection_target

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "correct-horse"


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of libpq's and no certificates in the home directory."""
    for name in ("PGHOST", "PGPORT", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGTARGETSESSIONATTRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def target(url: str) -> ConnectionTarget:
    return connection_target(url)


def arguments(url: str) -> dict[str, Any]:
    led = target(url)
    return led.arguments(led.addresses[0])


def context(query: str) -> ssl.SSLContext:
    made = arguments(f"postgresql://u@db.example/d?{query}")["ssl"]
    assert isinstance(made, ssl.SSLContext)
    return made


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_every_part_of_a_url_reaches_asyncpg(scheme: str) -> None:
    found = arguments(f"{scheme}://us%40er:p%40s%2Fs%25@db.example:6432/my%20db")

    assert (found["host"], found["port"]) == ("db.example", 6432)
    assert (found["user"], found["password"], found["database"]) == ("us@er", "p@s/s%", "my db")


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("postgresql://u@db.example/d", [("db.example", 5432)]),
        ("postgresql://u@[::1]:5433/d", [("::1", 5433)]),
        ("postgresql://u@[2001:db8::1]/d", [("2001:db8::1", 5432)]),
        ("postgresql://u:p@h1:5432,h2:5433/d", [("h1", 5432), ("h2", 5433)]),
        ("postgresql://u:p@h1,h2,[::1]:7/d", [("h1", 5432), ("h2", 5432), ("::1", 7)]),
        ("postgresql:///d?host=h1,h2&port=1,2", [("h1", 1), ("h2", 2)]),
        ("postgresql:///d?host=h1,h2&port=6432", [("h1", 6432), ("h2", 6432)]),
        ("postgresql:///d?host=h1:1&host=h2:2", [("h1", 1), ("h2", 2)]),
        ("postgresql:///d?host=::1&port=5433", [("::1", 5433)]),
        ("postgresql://a/d?host=b", [("b", 5432)]),
        ("postgresql://a:1/d?port=2", [("a", 2)]),
        ("postgresql:///d?hostaddr=10.0.0.1", [("10.0.0.1", 5432)]),
        ("postgresql:///d?host=/var/run/postgresql", [("/var/run/postgresql", 5432)]),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/d", [("/var/run/postgresql", 5432)]),
        ("postgresql:///d", [(None, 5432)]),
    ],
)
def test_every_host_is_found(url: str, addresses: list[tuple[str | None, int]]) -> None:
    assert target(url).addresses == tuple(Address(host, port) for host, port in addresses)


def test_hosts_and_ports_that_are_not_named_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "h1,h2")
    monkeypatch.setenv("PGPORT", "7")

    assert target("postgresql:///d").addresses == (Address("h1", 7), Address("h2", 7))
    assert target("postgresql://h3/d").addresses == (Address("h3", 7),)


def test_user_password_and_database_may_stand_in_the_query() -> None:
    found = arguments(f"postgresql://h/?user=u&password={SECRET}&dbname=d")

    assert (found["user"], found["password"], found["database"]) == ("u", SECRET, "d")


def test_a_url_that_sqlalchemy_writes_is_read_as_it_was() -> None:
    url = Settings.load(database_url="postgresql://u:p%40@h1:1,h2:2/d?sslmode=prefer&options=-c%20geqo%3Doff").url()
    assert url is not None

    again = url.render_as_string(hide_password=False)
    assert connection_target(again) == connection_target(url)
    assert connection_target(again).server_settings == {"options": "-c geqo=off"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=prefer", "prefer"),
        ("sslmode=allow", "allow"),
        ("sslmode=disable", False),
        ("ssl=disable", False),
    ],
)
def test_a_mode_that_can_do_without_tls_is_said_in_so_many_words(query: str, expected: object) -> None:
    assert arguments(f"postgresql://u@db.example/d?{query}")["ssl"] == expected


@pytest.mark.parametrize("query", ["sslmode=require", "ssl=require", "ssl=true"])
def test_require_does_not_verify_without_a_root_certificate(query: str) -> None:
    made = context(query)

    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_NONE, False)
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2


def test_sslrootcert_system_verifies_against_the_machines_authorities_and_checks_the_name() -> None:
    for query in ("sslmode=verify-full&sslrootcert=system", "sslrootcert=system"):
        made = context(query)
        assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_versions_of_tls_are_kept() -> None:
    made = context("sslmode=require&ssl_min_protocol_version=TLSv1.3")

    assert (made.minimum_version, made.maximum_version) == (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)


def test_a_unix_socket_has_no_tls_whatever_is_asked_for() -> None:
    found = arguments("postgresql:///d?host=/var/run/postgresql&sslmode=verify-full&sslnegotiation=direct")

    assert (found["ssl"], found["direct_tls"]) == (False, False)


def test_the_applications_own_context_goes_before_the_url() -> None:
    own = ssl.create_default_context()
    led = connection_target("postgresql://h/d?sslmode=verify-full&sslrootcert=/nowhere", tls=own)

    assert led.encryption.ssl is own


def test_direct_negotiation_reaches_asyncpg() -> None:
    assert arguments("postgresql://h/d?sslmode=require&sslnegotiation=direct")["direct_tls"] is True
    assert arguments("postgresql://h/d?sslmode=require&sslnegotiation=postgres")["direct_tls"] is False


def test_libpqs_variable_for_the_mode_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")

    assert arguments("postgresql://h/d")["ssl"] is False
    assert arguments("postgresql://h/d?sslmode=prefer")["ssl"] == "prefer"


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), ("0", None), ("-1", None), ("", None)])
def test_connect_timeout_counts_in_seconds_and_zero_says_nothing(value: str, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert target(f"postgresql://h/d?connect_timeout={value}").connect_timeout == expected


def test_names_and_options_are_told_to_the_server() -> None:
    led = target("postgresql://h/d?application_name=shop&options=-c%20search_path%3Dx%20-c%20geqo%3Doff")

    assert led.server_settings == {"application_name": "shop", "options": "-c search_path=x -c geqo=off"}
    assert _session_options(Settings.load(), led)["server_settings"]["application_name"] == "shop"
    assert target("postgresql://h/d?fallback_application_name=cron").server_settings == {"application_name": "cron"}
    assert target("postgresql://h/d?options=endpoint%3Dep-cool-1").server_settings == {"options": "endpoint=ep-cool-1"}


def test_what_the_hosts_have_to_be_is_kept() -> None:
    led = target("postgresql://h1,h2/d?target_session_attrs=read-write&load_balance_hosts=random")

    assert (led.target_session_attrs, led.shuffled) == ("read-write", True)
    assert set(led.in_order()) == set(led.addresses)
    assert not target("postgresql://h1,h2/d").shuffled


@pytest.mark.parametrize(
    "query",
    [
        "channel_binding=prefer",
        "channel_binding=disable",
        "gssencmode=disable",
        "gssencmode=prefer",
        "keepalives=0",
        "sslsni=1",
        "sslcompression=0",
        "sslcertmode=allow",
        "client_encoding=utf8",
        "max_protocol_version=latest",
        "keepalives_idle=",
    ],
)
def test_what_asyncpg_does_anyway_may_be_asked_for(query: str) -> None:
    assert target(f"postgresql://h/d?{query}").addresses == (Address("h", 5432),)


@pytest.mark.parametrize(
    ("query", "next_step"),
    [
        ("channel_binding=require", "sslmode=verify-full"),
        ("gssencmode=require", "leave it out"),
        ("keepalives=1", "LIVINGWORLD_COMMAND_TIMEOUT"),
        ("keepalives_idle=30", "LIVINGWORLD_COMMAND_TIMEOUT"),
        ("tcp_user_timeout=1000", "LIVINGWORLD_COMMAND_TIMEOUT"),
        ("pgbouncer=true", "LIVINGWORLD_BEHIND_POOLER"),
        ("prepared_statement_cache_size=0", "LIVINGWORLD_BEHIND_POOLER"),
        ("connection_limit=5", "LIVINGWORLD_POOL_SIZE"),
        ("statement_timeout=5", "LIVINGWORLD_STATEMENT_TIMEOUT"),
        ("options=-c%20statement_timeout%3D5s", "LIVINGWORLD_STATEMENT_TIMEOUT"),
        ("options=--lock-timeout%3D5s", "LIVINGWORLD_LOCK_TIMEOUT"),
        ("service=shop", "write the service's parameters"),
        ("require_auth=scram-sha-256", "leave it out"),
        ("schema=public", "leave it out"),
        ("client_encoding=latin1", "UTF-8"),
        ("nonsense=1", "leave it out"),
        ("sslmode=no-verify", "must be one of"),
        ("target_session_attrs=leader", "must be one of"),
        ("sslmode=prefer&sslnegotiation=direct", "sslmode=require"),
        ("sslmode=verify-full", "sslrootcert=system"),
        ("sslmode=verify-ca", "sslrootcert=system"),
        ("sslmode=require&sslrootcert=system", "verify-full"),
        ("sslmode=prefer&sslcert=/nowhere/client.crt", "use sslmode=require or more"),
        ("sslcert=/nowhere/client.crt", "No such file"),
        ("sslmode=require&sslcert=/nowhere/client.crt", "No such file"),
        ("sslmode=verify-full&sslrootcert=/nowhere/root.crt", "No such file"),
        ("connect_timeout=soon", "whole number of seconds"),
        ("hostaddr=10.0.0.1", "leave out the host"),
        ("port=1,2", "one for each"),
        ("port=0", "65535"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name_with_the_next_step(query: str, next_step: str) -> None:
    pairs = [part.partition("=")[0] for part in query.split("&")]
    with pytest.raises(InvalidSettings) as caught:
        Settings.load(database_url=f"postgresql://u:{SECRET}@h/d?{query}")

    assert caught.value.field.removeprefix("database_url") in {f"[{name}]" for name in [*pairs, "sslrootcert"]}
    assert next_step in caught.value.reason
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d",
        f"not a url {SECRET}",
        f"postgresql://u:{SECRET}@h:port/d",
        f"postgresql://h/d?{SECRET}",
    ],
)
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.load(direct_database_url=url)

    assert caught.value.field == "direct_database_url"
    assert SECRET not in f"{caught.value!r} {caught.value}"


def test_no_representation_repeats_a_password() -> None:
    led = target(f"postgresql://u:{SECRET}@h/d?sslmode=require&sslpassword={SECRET}")

    assert SECRET not in f"{led} {led!r} {led.label()!r}"


def test_whatever_connects_goes_through_the_translation() -> None:
    """An engine or a connection that is made elsewhere would read a URL by other rules."""
    made = re.compile(r"(create_async_engine|make_url)\(|= asyncpg\.connect\b|await asyncpg\.connect\b")
    files = [*(ROOT / "livingworld").rglob("*.py"), *(ROOT / "alembic").rglob("*.py")]

    assert {path.name for path in files if made.search(path.read_text())} == {"engine.py", "driver_connection.py"}
