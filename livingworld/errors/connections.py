"""No connection to the database: Unavailable where waiting may help, else ConnectionRejected."""

from __future__ import annotations

from livingworld.errors.base import LivingWorldError
from livingworld.errors.waits import Unavailable


class HostNotFound(Unavailable):
    """The name of the database's host cannot be resolved: check its spelling and this machine's name service."""


class ServerNotRunning(Unavailable):
    """No PostgreSQL listens at this host and port: start it, or check the host and the port of the URL."""


class ConnectTimeout(Unavailable):
    """The host did not answer within the connect timeout: check host and port, and the firewalls in between."""


class TooManyConnections(Unavailable):
    """The server has no free connection: lower LIVINGWORLD_POOL_SIZE, or raise the server's max_connections."""


class ServerNotReady(Unavailable):
    """The server starts up, shuts down or recovers, and accepts no connection yet: wait, and check its log."""


class NoMatchingServer(Unavailable):
    """No server has the wanted target_session_attrs: wait until one is promoted, or name other hosts."""


class ConnectionRejected(LivingWorldError):
    """The server refuses this connection, and waiting does not help: check the server's log."""


class WrongPassword(ConnectionRejected):
    """The server refuses the password of this user: check the user and the password of the URL."""


class LoginRefused(ConnectionRejected):
    """The server refuses this user: check that the role exists, and that pg_hba.conf admits it from this host."""


class DatabaseMissing(ConnectionRejected):
    """The server has no database of this name: create it, or check the name in the URL."""


class TlsRefused(ConnectionRejected):
    """The server does not support TLS, which is required: enable it, or say what you accept by sslmode in the URL."""


class CertificateRejected(ConnectionRejected):
    """The server's certificate is not accepted: see sslrootcert, LIVINGWORLD_TLS_CA_FILE, sslmode, and the host."""


class LimitsMissing(ConnectionRejected):
    """The role sets no limits, though the settings leave them to it: `livingworld db check` says how to set them."""
