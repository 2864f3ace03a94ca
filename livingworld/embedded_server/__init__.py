"""A real PostgreSQL that starts on first use: unix socket only, shared by all processes of a user, stopped by the last.

How it stays right whoever is killed when:

- The kernel decides who may start or stop: both hold `start.lock` exclusively (flock, given back when a process ends).
- The kernel counts who needs the server: every client holds `clients.lock` shared; the last one to leave gets it
  exclusively and stops the server. A client that was killed no longer counts.
- A supervisor, a small process in its own session, looks twice a second whether anybody still needs the server, and
  stops it, under `start.lock`. It holds `supervisor.lock`; who comes or goes and finds that free starts another one.
- The kernel knows when a server is gone: every process of it, and of what starts it, has inherited `server.lock`.
- Whether the server lives is asked at its socket, never read from a pid file.
- A data directory is built beside its place and renamed when it is complete.
"""

from livingworld.embedded_server.binaries import find_binaries
from livingworld.embedded_server.layout import default_home
from livingworld.embedded_server.server import EmbeddedServer

__all__ = ["EmbeddedServer", "default_home", "find_binaries"]
