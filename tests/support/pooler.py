"""PgBouncer in front of a test database, in transaction mode and with fewer sessions than clients."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import make_url

from livingworld.testing.remover import remove
from livingworld.testing.staged_races import connection_arguments
from livingworld.testing.throw_away_directory import throw_away_directory
from tests.support.patience import PATIENCE
from tests.support.run_role import url_of_the_run

#: LIVINGWORLD_PGBOUNCER names another one, for example a newer release than the system's.
PGBOUNCER: Final = os.environ.get("LIVINGWORLD_PGBOUNCER") or shutil.which(
    "pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin"
)
_CONFIGURATION: Final = """
[databases]
* = host={host} port={port} user='{user}'{secret}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
admin_users = {administrator}
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
logfile = {folder}/log
{more}
"""


def keeps_statements() -> bool:
    """Return whether the PgBouncer of the tests can keep prepared statements: from 1.21 on."""
    assert PGBOUNCER is not None
    version = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return tuple(map(int, version.split(".")[:2])) >= (1, 21)


@contextmanager
def pooled(url: str, *, sessions: int, **more: object) -> Iterator[str]:
    """Give the URL of the same database through a pooler that ends with the block and leaves nothing.

    `more` are settings of PgBouncer.
    """
    assert PGBOUNCER is not None
    server = connection_arguments(url_of_the_run(url))
    folder = throw_away_directory("livingworld-pooler-")  # also where the test run is killed
    try:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                sessions=sessions,
                administrator=make_url(url).username,
                secret=f" password='{server['password']}'" if server.get("password") else "",
                more="\n".join(f"{name} = {value}" for name, value in more.items()),
                **server,
            )
        )
        command = [PGBOUNCER, "-q", str(configuration)]
        if os.geteuid() == 0:  # which PgBouncer refuses to be
            owner = _who_may_connect(server["host"])
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            command += ["-u", owner.pw_name]
        with subprocess.Popen(command) as pooler:
            try:
                _until_ready(folder / ".s.PGSQL.6432", pooler)
                through = make_url(url).set(query={"host": str(folder), "port": "6432"})
                yield through.render_as_string(hide_password=False)
            finally:
                pooler.terminate()
    finally:
        remove(folder)


def ask_pooler(url: str, command: str) -> list[dict[str, Any]]:
    """Return the rows with which the console of the pooler of a URL answers; those of a command are none."""
    pooler = make_url(url)
    at = pooler.query | {"user": pooler.username}
    with psycopg.connect(
        " ".join(f"{name}={value}" for name, value in at.items()), dbname="pgbouncer", autocommit=True
    ) as console:
        answer = console.cursor(row_factory=dict_row).execute(command)
        return answer.fetchall() if answer.description else []


def _who_may_connect(host: str) -> pwd.struct_passwd:
    """Return who may reach the server: by its socket its owner, by a name anybody."""
    return pwd.getpwuid(Path(host).stat().st_uid) if host.startswith("/") else pwd.getpwnam("nobody")


def _until_ready(socket: Path, pooler: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE.total_seconds()
    while not socket.exists():
        assert pooler.poll() is None, "the pooler has ended"
        assert time.monotonic() < end, "the pooler does not listen"
        time.sleep(0.02)
