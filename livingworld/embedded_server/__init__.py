"""A real PostgreSQL that starts on first use: unix socket only, shared by all processes of a user, stopped by the last.

How it stays correct, whichever process is killed at whichever moment:

- The kernel decides which process may start or stop the server: it holds `start.lock` exclusively (flock, released when
  the process ends).
- The kernel counts the clients: every client holds `clients.lock` shared; the last one to leave gets it exclusively and
  stops the server. A client that was killed no longer counts.
- A supervisor, a small process in its own session, checks twice a second whether the server has a client, and stops it
  when it has none, under `start.lock`. It holds `supervisor.lock`; a client that finds this lock free when it comes or
  goes starts another supervisor.
- The kernel knows when a server has ended: each of its processes, and of the programs that start it, inherits
  `server.lock`.
- Whether the server lives is asked at its socket, never read from a pid file.
- A data directory is built beside its final place and renamed when it is complete.
"""

from livingworld.embedded_server.binaries import find_binaries
from livingworld.embedded_server.layout import default_home
from livingworld.embedded_server.server import EmbeddedServer

__all__ = ["EmbeddedServer", "default_home", "find_binaries"]
