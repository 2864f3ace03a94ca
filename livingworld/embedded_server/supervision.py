"""Starts the supervisor of a server: a process of its own, since a client that is killed can do nothing more."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from livingworld.embedded_server import file_lock
from livingworld.embedded_server.layout import Layout
from livingworld.embedded_server.postmaster import Postmaster
from livingworld.embedded_server.server_account import ServerAccount
from livingworld.embedded_server.supervisor import arguments_for
from livingworld.errors import EmbeddedServerFailed
from livingworld.observability import events

#: Without the imports of `livingworld`, ten times quicker and smaller: empty packages stand in for it.
_PROGRAM: Final = """if True:
    import sys, types
    for name in ("livingworld", "livingworld.embedded_server"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = ["/".join([sys.argv[1], *name.split(".")[1:]])]
    from livingworld.embedded_server.supervisor import main
    main(sys.argv[2:])
"""
#: Independent of the environment and of the installation: it needs the standard library only.
_ALONE: Final = ("-I", "-S", "-B")
_PACKAGE: Final = Path(__file__).parents[1]
_TIME_LIMIT: Final = timedelta(seconds=60)


def is_supervised(layout: Layout) -> bool:
    """Return True while a supervisor watches the clients of this server."""
    return not file_lock.is_free(layout.supervisor_lock)


def ensure_supervisor(postmaster: Postmaster) -> None:
    """Return when a supervisor watches the clients of this server. Call it under the start lock.

    Where no supervisor can be started the server runs without one, and an event reports it.
    """
    if is_supervised(postmaster.layout):
        return
    try:
        program = (*_ALONE, "-c", _PROGRAM, str(_PACKAGE), *arguments_for(postmaster))
        ServerAccount.myself().run(python_interpreter(), *program, time_limit=_TIME_LIMIT)
    except EmbeddedServerFailed as error:
        events.emit(events.EMBEDDED_SERVER_NOT_SUPERVISED, reason=str(error))


def python_interpreter() -> Path:
    """Return a Python interpreter of this version: `sys.executable` may be a program that embeds Python.

    Raises EmbeddedServerFailed when there is none.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (Path(sys.base_exec_prefix, "bin", name), Path(sys.executable)):
        if python.name.startswith(("python", "pypy")) and python.is_file() and not getattr(sys, "frozen", False):
            return python
    message = f"there is no {name} in {sys.base_exec_prefix}"
    raise EmbeddedServerFailed(message)
