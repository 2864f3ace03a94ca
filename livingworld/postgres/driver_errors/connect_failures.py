"""What it means that a connection was not made, with the host, the port and the next step."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Sequence
from typing import Final

import asyncpg

from livingworld import errors
from livingworld.errors import LivingWorldError, Unavailable
from livingworld.postgres.driver_errors.failures import DriverError, Failure, RetryKind
from livingworld.settings.database_url import Address, ConnectionTarget

#: Everything that asyncpg.connect raises, a host name that cannot be written in DNS included.
CONNECT_EXCEPTIONS: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    UnicodeError,
)

_BY_SQLSTATE: Final[dict[str, type[LivingWorldError]]] = {
    "28P01": errors.WrongPassword,
    "28000": errors.LoginRefused,
    "3D000": errors.DatabaseMissing,
    "53300": errors.TooManyConnections,
    "57P01": errors.ServerNotReady,
    "57P02": errors.ServerNotReady,
    "57P03": errors.ServerNotReady,
}
#: The first that fits: most of these are OSErrors too.
_BY_TYPE: Final[dict[type[BaseException], type[LivingWorldError]]] = {
    ssl.SSLCertVerificationError: errors.CertificateRejected,
    ssl.SSLError: errors.TlsRefused,
    socket.gaierror: errors.HostNotFound,
    UnicodeError: errors.HostNotFound,
    TimeoutError: errors.ConnectTimeout,
    asyncpg.TargetServerAttributeNotMatched: errors.NoMatchingServer,
    OSError: Unavailable,
    Exception: errors.ConnectionRejected,
}
#: Classes of SQLSTATE that pass by themselves: a connection that broke, a server without means.
_PASSING: Final = ("08", "53", "57P", "58")
_NOT_LISTENING: Final = frozenset({errno.ECONNREFUSED, errno.ENOENT})
#: A name with several addresses fails with one text for all of them.
_NUMBERS: Final = re.compile(r"\[Errno (\d+)\]")
_NO_TLS: Final = "rejected SSL upgrade"


def name_connect_failure(exception: BaseException, target: ConnectionTarget, address: Address) -> Failure:
    """Return what one of CONNECT_EXCEPTIONS means for a connection to `address`; waiting may help if Unavailable."""
    sqlstate = getattr(exception, "sqlstate", None)
    kind = _by_answer(sqlstate) if sqlstate is not None else _by_network(exception)
    details: dict[str, object] = {"host": address.host or "(default)", "port": address.port}
    if kind in {errors.WrongPassword, errors.LoginRefused}:
        details["user"] = target.user or "(default)"
    if kind is errors.DatabaseMissing:
        details["database"] = target.database or "(default)"
    if isinstance(exception, ssl.SSLCertVerificationError):
        details["reason"] = exception.verify_message
    if kind in {Unavailable, errors.ConnectionRejected}:
        details["reason"] = sqlstate or _reason(exception)
    cause = DriverError(f"{type(exception).__name__} (SQLSTATE {sqlstate}, while connecting)")
    retry = RetryKind.OUTAGE if issubclass(kind, Unavailable) else None
    return Failure(kind(**details), cause, retry, answered=False)


def none_of_several(failures: Sequence[tuple[Address, Failure]]) -> Failure:
    """Return the one failure, or one that names the failure of each host."""
    _, last = failures[-1]
    if len({address for address, _ in failures}) == 1:
        return last
    tried = [f"{address.host or '(default)'}:{address.port} {type(each.error).__name__}" for address, each in failures]
    kinds = {type(each.error) for _, each in failures}
    kind = kinds.pop() if len(kinds) == 1 else Unavailable
    return Failure(kind(hosts="; ".join(tried)), last.cause, RetryKind.OUTAGE, answered=False)


def _by_answer(sqlstate: str) -> type[LivingWorldError]:
    passing = Unavailable if sqlstate.startswith(_PASSING) else errors.ConnectionRejected
    return _BY_SQLSTATE.get(sqlstate, passing)


def _by_network(exception: BaseException) -> type[LivingWorldError]:
    if isinstance(exception, OSError) and _numbers(exception) & _NOT_LISTENING:
        return errors.ServerNotRunning
    if _NO_TLS in str(exception):
        return errors.TlsRefused
    return next(kind for cause, kind in _BY_TYPE.items() if isinstance(exception, cause))


def _numbers(exception: OSError) -> set[int]:
    found = {int(number) for number in _NUMBERS.findall(str(exception))}
    return found if exception.errno is None else {exception.errno}


def _reason(exception: BaseException) -> str:
    """Return what may be shown: the name of the error number, else the kind of exception."""
    number = exception.errno if isinstance(exception, OSError) else None
    return type(exception).__name__ if number is None else errno.errorcode.get(number, str(number))
