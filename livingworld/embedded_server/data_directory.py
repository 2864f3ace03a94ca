"""Directories and the first data: made completely, or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from livingworld.embedded_server.server_account import ServerAccount
from livingworld.errors import EmbeddedServerFailed

_UNFINISHED: Final = "unfinished-data-"
_INITDB: Final = ("-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth-local=peer", "--auth-host=reject")


def make_directory(path: Path, account: ServerAccount) -> None:
    """Make `path` and its missing parents, so that `account` can pass; a directory that exists keeps its mode."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755 if account.switched else 0o700)  # independent of the umask: these are ours


def refuse_closed_directory(directory: Path, account: ServerAccount, time_limit: timedelta) -> None:
    """Raise EmbeddedServerFailed when `account` cannot enter `directory`, or gives no answer in time."""
    if account.switched and not account.may_enter(directory, time_limit):
        message = (
            f"{directory} lies under a directory that user {account.uid}, which PostgreSQL runs as, cannot enter; "
            "set LIVINGWORLD_HOME to another, such as /var/lib/livingworld"
        )
        raise EmbeddedServerFailed(message)


def make_private_directory(path: Path, account: ServerAccount) -> None:
    """Make `path` for `account` alone; raises EmbeddedServerFailed when it exists and is not exactly that.

    Its parent may be writable for every user, so a directory that exists may be a trap.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        status = path.lstat()
        ours = status.st_uid in {account.uid, os.geteuid()}
        if not stat.S_ISDIR(status.st_mode) or not ours or status.st_mode & 0o077:
            message = f"{path} is not a directory of user {account.uid} alone"
            raise EmbeddedServerFailed(message) from None
    account.take(path)


def make_data(
    data: Path, binaries: Path, account: ServerAccount, lock: IO[str], *, durable: bool, time_limit: timedelta
) -> None:
    """Make `data` a data directory unless it is one, under the start lock; the programs that it starts hold `lock`.

    It is built beside its place and renamed, so a kill in the middle leaves only files that the next start removes.
    """
    for unfinished in data.parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)  # an initdb whose parent was killed may still write there
    if (data / "PG_VERSION").exists():
        return
    _refuse_user_without_name(account)
    # A new name each time: the initdb of a killed parent goes on for a moment.
    working = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=data.parent))
    try:
        account.take(working)
        options = _INITDB if durable else (*_INITDB, "--no-sync")
        account.run(binaries / "initdb", "-D", working, *options, time_limit=time_limit, lock=lock)
        working.rename(data)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    if durable:
        _sync(data.parent)


def _refuse_user_without_name(account: ServerAccount) -> None:
    if account.name is None:
        message = (
            f"user {account.uid} has no entry in the user database (/etc/passwd), and initdb does not run without one; "
            "add one, or set LIVINGWORLD_DATABASE_URL to use a server of your own"
        )
        raise EmbeddedServerFailed(message)


def _sync(directory: Path) -> None:
    """Make the rename survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
