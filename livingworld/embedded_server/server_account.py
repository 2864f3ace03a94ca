"""The user that PostgreSQL runs as: PostgreSQL refuses root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final, Self

from livingworld.errors import EmbeddedServerFailed

#: No other variable reaches the server: PG* would change it, and its user could read secrets.
_ENVIRONMENT_KEPT: Final = ("PATH", "LD_", "DYLD_", "NSS_WRAPPER_", "LOCALE_ARCHIVE")


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """A user by number, and whether this process is root and has to switch to it."""

    uid: int
    gid: int
    switched: bool

    @classmethod
    def choose(cls, data: Path) -> Self:
        """Return this process's own user; for root the owner of `data`, else `postgres`, else `nobody`."""
        if os.geteuid() != 0:
            return cls.myself()
        if data.exists() and (status := data.stat()).st_uid != 0:
            return cls(status.st_uid, status.st_gid, switched=True)
        import pwd  # noqa: PLC0415 - absent on Windows, where this package must still be importable

        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                user = pwd.getpwnam(name)
                return cls(user.pw_uid, user.pw_gid, switched=True)
        message = "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as"
        raise EmbeddedServerFailed(message)

    @classmethod
    def myself(cls) -> Self:
        """Return this process's own user, root too."""
        return cls(os.geteuid(), os.getegid(), switched=False)

    @property
    def name(self) -> str | None:
        """The name in the user database, or None; initdb refuses a user without one."""
        import pwd  # noqa: PLC0415

        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return None

    def run(self, *command: str | Path, time_limit: timedelta, lock: IO[str] | None = None) -> str:
        """Run a command as this user and return what it printed; raises EmbeddedServerFailed with that output.

        The command and its children inherit `lock`, which is held until the last of them has ended.
        """
        try:
            done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - no shell, and only PostgreSQL's own programs
                [str(part) for part in command],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=time_limit.total_seconds(),
                pass_fds=() if lock is None else (lock.fileno(),),
                **self._identity(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            message = f"{command[0]} cannot be run as user {self.uid}: {error}"
            raise EmbeddedServerFailed(message) from error
        if done.returncode != 0:
            message = f"{command[0]} failed with code {done.returncode}: {done.stdout.strip()}"
            raise EmbeddedServerFailed(message)
        return done.stdout

    def may_enter(self, directory: Path, time_limit: timedelta) -> bool:
        """Return True when this user can enter `directory`; raises EmbeddedServerFailed without an answer in time."""
        asked = 'test -x "$0" && echo yes || echo no'
        return self.run("/bin/sh", "-c", asked, directory, time_limit=time_limit).strip() == "yes"

    def take(self, path: Path) -> None:
        """Make this user the owner of `path`, one that livingworld made."""
        if self.switched:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _identity(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switched else {}


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT_KEPT)}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
