"""The parameters of a URL by libpq's names, taken one by one; what is left over is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Self

from sqlalchemy import URL

from livingworld.errors import InvalidSettings

#: libpq's environment variables stand in for what the URL does not say.
_VARIABLES: Final = {
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}

#: Values that ask for what asyncpg does anyway.
_DONE_ANYWAY: Final[dict[str, frozenset[str]]] = {
    "channel_binding": frozenset({"disable", "prefer"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "gssdelegation": frozenset({"0"}),
    "keepalives": frozenset({"0"}),
    "tcp_user_timeout": frozenset({"0"}),
    "sslcompression": frozenset({"0", "1"}),
    "sslsni": frozenset({"1"}),
    "sslcertmode": frozenset({"allow"}),
    "client_encoding": frozenset({"utf8", "UTF8", "utf-8", "UTF-8", "auto"}),
    "min_protocol_version": frozenset({"3.0"}),
    "max_protocol_version": frozenset({"3.0", "3.2", "latest"}),
    "replication": frozenset({"false", "off", "no", "0"}),
}

_KEEPALIVE: Final = "asyncpg does not set it: leave it out; LIVINGWORLD_COMMAND_TIMEOUT ends a wait on a dead network"
_POOLER: Final = "leave it out, and behind a pooler set LIVINGWORLD_BEHIND_POOLER=true"
#: What to do about parameters that asyncpg does not support.
_NEXT_STEP: Final = {
    "channel_binding": (
        "asyncpg cannot bind the password to the TLS channel: leave it out, and verify the server with "
        "sslmode=verify-full&sslrootcert=system"
    ),
    "client_encoding": "asyncpg speaks UTF-8 only: leave it out",
    "connection_limit": "is no parameter of PostgreSQL: leave it out, and set LIVINGWORLD_POOL_SIZE",
    "gssencmode": "asyncpg cannot encrypt by GSSAPI: leave it out, and encrypt with sslmode",
    "keepalives": _KEEPALIVE,
    "keepalives_count": _KEEPALIVE,
    "keepalives_idle": _KEEPALIVE,
    "keepalives_interval": _KEEPALIVE,
    "pgbouncer": _POOLER,
    "pool_timeout": "is no parameter of PostgreSQL: leave it out, and set LIVINGWORLD_POOL_TIMEOUT",
    "prepared_statement_cache_size": _POOLER,
    "schema": "is no parameter of PostgreSQL: leave it out; the tables are in the schema livingworld",
    "service": "asyncpg reads no service file: write the service's parameters into the URL",
    "statement_cache_size": _POOLER,
    "tcp_user_timeout": _KEEPALIVE,
}
_UNKNOWN: Final = "asyncpg does not support it: leave it out"

#: Settings that livingworld sets in each session: another value would be lost silently.
_PINNED: Final = {
    "statement_timeout": "set LIVINGWORLD_STATEMENT_TIMEOUT",
    "lock_timeout": "set LIVINGWORLD_LOCK_TIMEOUT",
    "idle_in_transaction_session_timeout": "set LIVINGWORLD_IDLE_IN_TRANSACTION_TIMEOUT",
    "default_transaction_isolation": "livingworld needs read committed",
    "jit": "livingworld turns it off",
}
_SERVER_SETTING: Final = re.compile(r"(?:^|\s)(?:-c\s*|--)([\w.-]+)\s*=")


class Parameters:
    """What stands behind the question mark of one URL, until it is taken."""

    def __init__(self, given: Mapping[str, str], field: str) -> None:
        self._left = dict(given)
        #: The setting that the URL is the value of.
        self.field = field

    @classmethod
    def of(cls, url: URL, field: str) -> Self:
        """Return the parameters of a URL; SQLAlchemy calls `sslmode` `ssl`, and JDBC's `ssl=true` is `require`."""
        given = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
        if "ssl" in given:
            mode = given.pop("ssl").replace("_", "-")
            given.setdefault("sslmode", "require" if mode.lower() == "true" else mode)
        return cls(given, field)

    def given(self, name: str) -> str | None:
        """Take the value in the URL, None when there is none; an empty value counts as none."""
        return self._left.pop(name, None) or None

    def has(self, name: str) -> bool:
        """Return whether the URL has a value for it."""
        return bool(self._left.get(name))

    def is_chosen(self, name: str) -> bool:
        """Return whether the URL or libpq's environment variable has a value for it."""
        return self.has(name) or bool(os.environ.get(_VARIABLES.get(name, "")))

    def take(self, name: str) -> str | None:
        """Take the value in the URL, else libpq's environment variable."""
        return self.given(name) or os.environ.get(_VARIABLES.get(name, "")) or None

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Take a parameter that has to be one of these; the first is the default."""
        value = self.take(name) or choices[0]
        if value not in choices:
            raise self.refusal(name, f"must be one of {', '.join(choices)}")
        return value

    def seconds(self, name: str) -> timedelta | None:
        """Take a whole number of seconds; 0 and less means none, as in libpq."""
        text = self.take(name) or "0"
        if re.fullmatch(r"\s*[+-]?\d{1,5}\s*", text) is None:
            raise self.refusal(name, "must be a whole number of seconds, at most a day")
        return timedelta(seconds=int(text)) if int(text) > 0 else None

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Name the parameter whose file cannot be read, or holds something else."""
        reason = None
        try:
            yield
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror or "not what it should be"
        if reason is not None:
            raise self.refusal(name, f"its file cannot be used: {reason}")

    def refusal(self, name: str, reason: str) -> InvalidSettings:
        """Return the error that names a parameter; its value may be a secret and is not repeated."""
        return InvalidSettings(f"{self.field}[{name}]", reason)

    def refuse_what_is_left(self) -> None:
        """Raise InvalidSettings for a parameter that was not taken and would have no effect."""
        for name, value in self._left.items():
            if value and value not in _DONE_ANYWAY.get(name, frozenset()):
                raise self.refusal(name, _NEXT_STEP.get(name) or _PINNED.get(name) or _UNKNOWN)


def server_settings(parameters: Parameters) -> dict[str, str]:
    """Take the settings that the server gets at the start of a session."""
    name, spare = parameters.given("application_name"), parameters.given("fallback_application_name")
    options = parameters.given("options")
    for setting in _SERVER_SETTING.findall(options or ""):
        if (pinned := _PINNED.get(setting.replace("-", "_").lower())) is not None:
            raise parameters.refusal("options", f"{setting} is set by livingworld: leave it out; {pinned}")
    settings = {"application_name": name or spare, "options": options}
    return {setting: value for setting, value in settings.items() if value}
