"""What a person calls a database."""

from __future__ import annotations

from sqlalchemy import URL


def database_address(url: URL) -> str:
    """Return its name and where it is, such as `stories at localhost:5432`; no user and no password."""
    asked = url.query.get("host", "localhost")
    host = url.host or (asked if isinstance(asked, str) else ", ".join(asked))
    return f"{url.database or url.username} at {host}:{url.port or url.query.get('port', 5432)}"
