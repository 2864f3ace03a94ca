"""The text of a URL, taken apart."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from sqlalchemy import URL

from livingworld.errors import InvalidSettings

#: As SQLAlchemy takes it apart, and with several hosts: a password may hold all but `@`, the query everything.
_URL: Final = re.compile(
    r"""
    (?P<scheme>[\w+]+)://
    (?:(?P<username>[^:/]*)(?::(?P<password>[^@]*))?@)?
    (?P<hosts>[^/?]*)
    (?:/(?P<database>[^?]*))?
    (?:\?(?P<query>.*))?
    """,
    re.VERBOSE | re.DOTALL,
)
_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>\d*))?")
_EXPECTED: Final = "must look like postgresql://user:password@host:port/database"
#: Parameters that have a place of their own in a URL.
_PARTS: Final = {"user": "username", "password": "password", "dbname": "database", "database": "database"}


def parse_url(text: str, field: str = "database_url") -> URL:
    """Return the URL for SQLAlchemy, or raise InvalidSettings, which repeats nothing of it.

    Several hosts stand in its query, as libpq's lists `host` and `port`. In the query a plus is a space.
    """
    found = _URL.fullmatch(text)
    if found is None or found["scheme"].partition("+")[0] not in {"postgresql", "postgres"}:
        raise InvalidSettings(field, _EXPECTED)
    parts: dict[str, Any] = {name: unquote(found[name] or "") for name in ("username", "password", "database")}
    query = _query(found["query"] or "", field)
    parts |= {part: query.pop(name) for name, part in _PARTS.items() if name in query}
    hosts = [split_host(each, field) for each in found["hosts"].split(",")]
    if len(hosts) == 1 and not query.keys() & {"host", "port"}:
        parts["host"], parts["port"] = hosts[0][0], int(hosts[0][1] or 0)
    elif found["hosts"]:
        query = {"host": ",".join(host for host, _ in hosts), "port": ",".join(port for _, port in hosts)} | query
    return URL.create("postgresql+asyncpg", **{name: part or None for name, part in parts.items()}, query=query)


def split_host(text: str, field: str) -> tuple[str, str]:
    """Return a host and its port, empty where it is not given; an address of version 6 stands in brackets."""
    found = _HOST.fullmatch(text)
    if found is None:
        raise InvalidSettings(field, _EXPECTED)
    return unquote(found["ipv6"] or found["name"] or ""), found["port"] or ""


def _query(text: str, field: str) -> dict[str, str]:
    """Return each parameter once: the last one counts, but several `host` are several hosts."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    except ValueError:
        pairs = None
    if pairs is None:
        raise InvalidSettings(field, "has a query that is not name=value&name=value")
    query = dict(pairs)
    if "host" in query:
        query["host"] = ",".join(value for name, value in pairs if name == "host")
    return query


def database_address(url: URL) -> str:
    """Return the name of a database and where it is, such as `stories at localhost:5432`; no user and no password."""
    asked = url.query.get("host", "localhost")
    host = url.host or (asked if isinstance(asked, str) else ", ".join(asked))
    return f"{url.database or url.username} at {host}:{url.port or url.query.get('port', 5432)}"
