"""The process that ends the server when its last client has ended, however it ended; `supervision` starts it.

It imports the standard library and its neighbours only, so that it starts quickly and stays small.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from livingworld.embedded_server import file_lock
from livingworld.embedded_server.deadline import Deadline
from livingworld.embedded_server.layout import Layout
from livingworld.embedded_server.postmaster import Postmaster
from livingworld.embedded_server.server_account import ServerAccount
from livingworld.errors import EmbeddedServerFailed

_LOOK_EVERY_SECONDS: Final = 0.5
_STOP_TIME_LIMIT: Final = timedelta(minutes=1)
#: It ends by itself, moments after the last client; a signal to all processes must not end it before the clients.
_IGNORED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def arguments_for(postmaster: Postmaster) -> list[str]:
    """Return what `main` is called with to supervise this server."""
    layout, account = postmaster.layout, postmaster.account
    numbers = (layout.major_version, account.uid, account.gid, int(account.switched))
    return [str(layout.home), *map(str, numbers), str(postmaster.binaries)]


def main(arguments: list[str]) -> None:
    """Supervise a server until it has ended, as a daemon, unless another process does; returns or exits at once."""
    home, version, uid, gid, switched, binaries = arguments
    layout, account = Layout(Path(home), int(version)), ServerAccount(int(uid), int(gid), switched=bool(int(switched)))
    postmaster = Postmaster(layout, account, Path(binaries), layout.socket_directory(account.uid))
    if supervising := file_lock.take(layout.supervisor_lock):
        _become_a_daemon()
        supervising.truncate(0)
        supervising.write(f"{os.getpid()}\n")
        supervising.flush()
        while _is_needed(postmaster, supervising):
            time.sleep(_LOOK_EVERY_SECONDS)


def _become_a_daemon() -> None:
    """Leave the session, the directory and the pipes of the client; locks stay held."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.close(nothing)


def _is_needed(postmaster: Postmaster, supervising: IO[str]) -> bool:
    """Stop the server when it has no client; return False when the last of its processes has ended.

    The start lock is held meanwhile: a new client is counted before the decision, or comes after the stop.
    """
    layout = postmaster.layout
    try:
        with file_lock.exclusive_if_free(layout.start_lock) as alone:
            if not alone or not file_lock.is_free(layout.clients_lock):
                return True
            if file_lock.is_free(layout.server_lock):
                supervising.close()  # before the start lock: its next holder must see that there is no supervisor
                return False
            with contextlib.suppress(EmbeddedServerFailed):  # it hangs; the next round tries again
                postmaster.shut_down(Deadline(_STOP_TIME_LIMIT))
            return True
    except FileNotFoundError:  # the home was removed
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
