"""No connection to the database: where waiting may help it is Unavailable, where only a change helps it is not."""

from __future__ import annotations

from livingworld.errors.base import LivingWorldError
from livingworld.errors.waits import Unavailable


class HostNotFound(Unavailable):
    """The name of the database's host is not known here: look at its spelling and at this machine's name service."""


class ServerNotRunning(Unavailable):
    """No PostgreSQL listens at this host and port: start it, or look at the host and the port of the URL."""


class ConnectTimeout(Unavailable):
    """The host did not answer within the connect timeout: look at host and port, and at firewalls in between."""


class TooManyConnections(Unavailable):
    """The server has no connection to spare: lower LIVINGWORLD_POOL_SIZE, or raise max_connections there."""


class ServerNotReady(Unavailable):
    """The server starts up, shuts down or recovers and takes no connection yet: wait, and look at its log."""


class NoMatchingServer(Unavailable):
    """No server is what target_session_attrs asks for: wait for one to be promoted, or name other hosts."""


class ConnectionRejected(LivingWorldError):
    """The server refuses this connection, and waiting does not change that: look at its log."""


class WrongPassword(ConnectionRejected):
    """The server refuses the password of this user: look at the user and the password of the URL."""


class LoginRefused(ConnectionRejected):
    """The server does not let this user in: see that the role exists, and that pg_hba.conf lets it in from here."""


class DatabaseMissing(ConnectionRejected):
    """The server has no database of this name: create it, or look at the name in the URL."""


class TlsRefused(ConnectionRejected):
    """The server takes no TLS, which is asked for: turn it on there, or ask for less with sslmode in the URL."""


class CertificateRejected(ConnectionRejected):
    """The server cannot prove who it is: look at sslrootcert or LIVINGWORLD_TLS_CA_FILE, and at the host's name."""
