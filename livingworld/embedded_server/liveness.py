"""Whether a server lives, asked at its socket: a pid file knows neither zombies nor reused process ids."""

from __future__ import annotations

import socket
import struct
from enum import Enum
from pathlib import Path
from typing import Final

from livingworld.embedded_server.layout import socket_file

_PROTOCOL_3: Final = 196608
_PARAMETERS: Final = b"user\0postgres\0database\0postgres\0\0"
_STARTUP: Final = struct.pack("!ii", 8 + len(_PARAMETERS), _PROTOCOL_3) + _PARAMETERS
_TERMINATE: Final = b"X\0\0\0\4"
#: SQLSTATE of "the database system is starting up", "... shutting down" and "... in recovery mode".
_CANNOT_CONNECT_NOW: Final = b"C57P03\0"
_ANSWER_SECONDS: Final = 2.0


class Liveness(Enum):
    """The state of a server."""

    #: It takes connections.
    READY = "ready"
    #: It starts, stops, recovers, or does not answer in time.
    BUSY = "busy"
    #: No server listens.
    DOWN = "down"


def ask(socket_directory: Path) -> Liveness:
    """Return the state that the server shows to a new client."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(str(socket_file(socket_directory)))
            connection.sendall(_STARTUP)
            answer = connection.recv(1024)
            if answer.startswith(b"R"):
                connection.sendall(_TERMINATE)
    except (ConnectionError, FileNotFoundError):
        return Liveness.DOWN
    except (TimeoutError, BlockingIOError):  # stopped, overloaded, or its queue of connections is full
        return Liveness.BUSY
    if not answer:
        return Liveness.DOWN
    # Any other refusal, such as too many clients, comes from a server that is up.
    return Liveness.BUSY if _CANNOT_CONNECT_NOW in answer else Liveness.READY
