"""The addresses of a URL: the places where the server may be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from sqlalchemy import URL

from livingworld.settings.database_url.parameters import Parameters
from livingworld.settings.database_url.parsing import split_host

_DEFAULT_PORT: Final = "5432"


@dataclass(frozen=True, slots=True)
class Address:
    """One place where a server may be."""

    #: A name, an address, or the directory of a unix socket; None: where asyncpg looks when nothing is named.
    host: str | None
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether it is the directory of a unix socket, through which there is no TLS."""
        return self.host is not None and self.host.startswith("/")

    @property
    def is_local(self) -> bool:
        """Whether what is sent there stays on this machine."""
        if self.host is None or self.is_socket or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def addresses_of(url: URL, parameters: Parameters) -> tuple[Address, ...]:
    """Return the addresses in the order of the URL; PGHOST and PGPORT stand in for missing parts."""
    hosts = [_host(text, parameters) for text in _hosts(url, parameters).split(",")]
    ports = (parameters.take("port") or str(url.port or "") or os.environ.get("PGPORT", "")).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise parameters.refusal("port", f"names {len(ports)} ports for {len(hosts)} hosts: give one for each, or one")
    return tuple(
        Address(host or None, _number(own or port or _DEFAULT_PORT, parameters))
        for (host, own), port in zip(hosts, ports, strict=True)
    )


def _hosts(url: URL, parameters: Parameters) -> str:
    named, numeric = parameters.take("host") or url.host or "", parameters.take("hostaddr")
    if numeric and named:
        raise parameters.refusal(
            "hostaddr", "asyncpg looks the address up itself: leave this out, or leave out the host"
        )
    return numeric or named or os.environ.get("PGHOST", "")


def _host(text: str, parameters: Parameters) -> tuple[str, str]:
    """Return a host and the port after it, as SQLAlchemy writes several; a bare IPv6 address has none."""
    is_bare = text.startswith("/") or (text.count(":") > 1 and not text.startswith("["))
    return (text, "") if is_bare else split_host(text, parameters.field)


def _number(port: str, parameters: Parameters) -> int:
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise parameters.refusal("port", "must be a number from 1 to 65535")
    return int(port)
