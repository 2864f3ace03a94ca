"""Without an sslmode a server on another machine is verified, and one on this machine is taken as it is."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from livingworld.errors import InvalidSettings
from livingworld.settings.database_url import connection_target


def arguments(url: str) -> dict[str, object]:
    """Return what asyncpg.connect takes for the first host."""
    led = connection_target(url)
    return led.arguments(led.addresses[0])


@pytest.mark.parametrize("host", ["db.example", "h", "10.0.0.1", "[2001:db8::1]"])
def test_a_server_on_another_machine_is_verified_unless_the_url_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no root.crt
    made = arguments(f"postgresql://u@{host}/d")["ssl"]

    assert isinstance(made, ssl.SSLContext)
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert arguments(f"postgresql://u@{host}/d?sslmode=disable")["ssl"] is False
    assert arguments(f"postgresql://u@{host}/d?sslmode=prefer")["ssl"] == "prefer"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.7.6", "[::1]", ""])
def test_a_server_on_this_machine_is_taken_as_it_is(host: str) -> None:
    assert arguments(f"postgresql://u@{host}/d")["ssl"] == "prefer"


def test_of_several_hosts_those_on_other_machines_are_verified() -> None:
    led = connection_target("postgresql://u@localhost,db.example/d")
    near, far = (led.arguments(address)["ssl"] for address in led.addresses)

    assert near == "prefer"
    assert isinstance(far, ssl.SSLContext)
    assert far.verify_mode is ssl.CERT_REQUIRED


def test_the_root_certificate_in_the_home_directory_verifies_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("no certificate")

    with pytest.raises(InvalidSettings, match="sslrootcert"):
        arguments("postgresql://u@db.example/d")
