"""Where a URL leads, as arguments of asyncpg."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ssl import SSLContext
from typing import Any, Final

from sqlalchemy import URL

from livingworld.settings.database_url.addresses import Address, addresses_of
from livingworld.settings.database_url.parameters import Parameters, server_settings
from livingworld.settings.database_url.parsing import parse_url
from livingworld.settings.database_url.tls import Encryption, encryption_of

_SESSION_ATTRIBUTES: Final = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
#: Parameters that asyncpg takes under libpq's name.
_SAME_NAME: Final = ("passfile", "krbsrvname", "gsslib")


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """The contents of a URL, its password included."""

    addresses: tuple[Address, ...]
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    encryption: Encryption
    #: For each host; None: the setting's.
    connect_timeout: timedelta | None
    #: What the server has to be, in the terms of libpq.
    target_session_attrs: str
    #: Whether the hosts are tried in another order each time.
    shuffled: bool
    #: Settings that the server gets at the start of a session.
    server_settings: Mapping[str, str]
    #: Further arguments of asyncpg.connect.
    others: Mapping[str, str]

    def arguments(self, address: Address) -> dict[str, Any]:
        """Return what asyncpg.connect takes to reach one of the addresses."""
        return {
            "host": address.host,
            "port": address.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "ssl": False if address.is_socket else self.encryption.to(local=address.is_local),
            "direct_tls": self.encryption.direct and not address.is_socket,
            "server_settings": dict(self.server_settings),
            **self.others,
        }

    def in_order(self) -> Sequence[Address]:
        """Return the addresses in the order of one attempt."""
        return random.sample(self.addresses, len(self.addresses)) if self.shuffled else self.addresses

    def label(self) -> URL:
        """Return a URL that names the first host, the user and the database, and no secret."""
        first = self.addresses[0]
        return URL.create("postgresql+asyncpg", self.user, None, first.host, first.port, self.database)


def connection_target(
    url: str | URL, *, tls: SSLContext | None = None, field: str = "database_url"
) -> ConnectionTarget:
    """Return where a URL leads, or raise InvalidSettings naming the parameter that asyncpg cannot honour.

    `tls` takes precedence over the URL's TLS parameters. Without either and without PGSSLMODE, a server on another
    machine is verified, and on this one libpq's default holds.
    """
    parsed = parse_url(url, field) if isinstance(url, str) else url
    parameters = Parameters.of(parsed, field)
    addresses = addresses_of(parsed, parameters)
    target = ConnectionTarget(
        addresses=addresses,
        user=parsed.username,
        password=parsed.password,
        database=parsed.database,
        encryption=encryption_of(
            parameters,
            tls,
            by_tcp=not all(address.is_socket for address in addresses),
            leaves_machine=not all(address.is_local for address in addresses),
        ),
        connect_timeout=parameters.seconds("connect_timeout"),
        target_session_attrs=parameters.one_of("target_session_attrs", _SESSION_ATTRIBUTES),
        shuffled=parameters.one_of("load_balance_hosts", ("disable", "random")) == "random",
        server_settings=server_settings(parameters),
        others={name: value for name in _SAME_NAME if (value := parameters.given(name))},
    )
    parameters.refuse_what_is_left()
    return target
