"""Who may connect to the embedded server: the user that it runs as, and root, by the word of the kernel.

The directory of the socket is closed to other users already. This holds also where it was opened, and no secret has to
be kept: the kernel names the user at the other end of the socket.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from livingworld.embedded_server.server_account import ServerAccount
from livingworld.errors import EmbeddedServerFailed

_MAP: Final = "livingworld"
_RULES: Final = f"""\
# Written by livingworld whenever it starts the server.
local all postgres peer map={_MAP}
# Roles that you make.
local all all scram-sha-256
"""


def write_rules(data: Path, account: ServerAccount) -> None:
    """Let the server's own user and root connect as `postgres`, and other roles by their password only.

    For a server that does not run. The data of an earlier release, which trusted every client, is changed too. Raises
    EmbeddedServerFailed when the user has no name, by which PostgreSQL knows it.
    """
    if account.name is None:
        message = f"user {account.uid} has no entry in the user database (/etc/passwd), and PostgreSQL needs its name"
        raise EmbeddedServerFailed(message)
    users = dict.fromkeys((account.name, "root"))
    lines = [f"{_MAP} {_quoted(user)} postgres\n" for user in users]
    _write(data / "pg_ident.conf", "".join(lines), account)  # first: the rules name its map
    _write(data / "pg_hba.conf", _RULES, account)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _write(path: Path, text: str, account: ServerAccount) -> None:
    """Replace a file as a whole, unless it has this text."""
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    account.take(Path(name))
    Path(name).replace(path)
