"""TLS as libpq's parameters ask for it.

`require` encrypts and does not verify the server, unless there is a root certificate; `verify-ca` requires a
certificate that the root signed, `verify-full` also the host's name in it. Unlike libpq, a server on another machine is
verified (`verify-full`) where no sslmode is named: `prefer` would give the password to whoever answers.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from livingworld.settings.database_url.parameters import Parameters

_MODES: Final = ("prefer", "disable", "allow", "require", "verify-ca", "verify-full")
_CONTENT_WITHOUT: Final = ("prefer", "disable", "allow")
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir")
_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
#: The attribute of a context, and the values that are accepted; the first is the default.
_VERSION_LIMITS: Final = {
    "ssl_min_protocol_version": ("minimum_version", ("TLSv1.2", "TLSv1.3")),
    "ssl_max_protocol_version": ("maximum_version", ("TLSv1.3", "TLSv1.2")),
}
_NO_ROOT: Final = (
    "is needed to verify the server: name the file of the certificate authority, or use "
    "sslmode=verify-full&sslrootcert=system for those that this machine trusts"
)


_Ssl: TypeAlias = ssl.SSLContext | str | bool


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a connection by TCP is encrypted."""

    #: A context, False for no TLS, or a mode that takes what it gets and that asyncpg knows by name.
    ssl: _Ssl
    #: Whether TLS begins with the first byte, without asking whether the server has it.
    direct: bool = False
    #: Whether no sslmode was named, so that it holds for servers on other machines only.
    is_default: bool = False

    def to(self, *, local: bool) -> _Ssl:
        """Return how a connection to this machine, or to another one, is encrypted."""
        return _MODES[0] if local and self.is_default else self.ssl


def encryption_of(
    parameters: Parameters, tls: ssl.SSLContext | None, *, by_tcp: bool, leaves_machine: bool
) -> Encryption:
    """Take every parameter of TLS and return what they ask for; a context of the application takes precedence."""
    named = [name for name in (*_FILES, *_VERSION_LIMITS) if parameters.has(name)]
    files = {name: value for name in _FILES if (value := parameters.take(name))}
    versions = {limit: parameters.one_of(name, choices) for name, (limit, choices) in _VERSION_LIMITS.items()}
    is_default = leaves_machine and tls is None and not parameters.is_chosen("sslmode")
    mode = _mode(parameters, files, verified=leaves_machine)
    if is_default:
        files.setdefault("sslrootcert", _usual("root.crt") or "system")
    direct = parameters.one_of("sslnegotiation", ("postgres", "direct")) == "direct"
    if not by_tcp:
        return Encryption(ssl=False)
    if tls is None and mode in _CONTENT_WITHOUT:
        if named and mode != "disable":
            raise parameters.refusal(
                named[0], f"has no effect with sslmode={mode}, which does not require TLS: use sslmode=require or more"
            )
        if direct:
            raise parameters.refusal("sslnegotiation", "direct needs sslmode=require or more")
        return Encryption(ssl=False if mode == "disable" else mode)
    if tls is None:
        tls = _context(mode, files, parameters)
        for limit, version in versions.items():
            setattr(tls, limit, _VERSIONS[version])
    return Encryption(tls, direct, is_default=is_default)


def _mode(parameters: Parameters, files: Mapping[str, str], *, verified: bool) -> str:
    from_system = files.get("sslrootcert") == "system"
    # The first is the default.
    mode = parameters.one_of("sslmode", _MODES[::-1] if from_system or verified else _MODES)
    if from_system and mode != "verify-full":
        raise parameters.refusal("sslrootcert", "system trusts many authorities: use sslmode=verify-full")
    return mode


def _context(mode: str, files: Mapping[str, str], parameters: Parameters) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ssl.HAS_ALPN:
        context.set_alpn_protocols(["postgresql"])
    if _trust(context, files, parameters):
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = mode == "verify-full"
        _revoke(context, files, parameters)
    elif mode != "require":
        raise parameters.refusal("sslrootcert", _NO_ROOT)
    _present(context, files, parameters)
    return context


def _trust(context: ssl.SSLContext, files: Mapping[str, str], parameters: Parameters) -> bool:
    """Load the root certificate, and return whether there is one."""
    root = files.get("sslrootcert") or _usual("root.crt")
    if root == "system":
        context.load_default_certs()
    elif root is not None:
        with parameters.reading("sslrootcert"):
            context.load_verify_locations(cafile=root)
    return root is not None


def _revoke(context: ssl.SSLContext, files: Mapping[str, str], parameters: Parameters) -> None:
    file, folder = files.get("sslcrl") or _usual("root.crl"), files.get("sslcrldir")
    if file or folder:
        with parameters.reading("sslcrl" if file else "sslcrldir"):
            context.load_verify_locations(cafile=file, capath=folder)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _present(context: ssl.SSLContext, files: Mapping[str, str], parameters: Parameters) -> None:
    """Load the certificate of the client."""
    certificate = files.get("sslcert") or _usual("postgresql.crt")
    if certificate is not None:
        key, password = files.get("sslkey") or _usual("postgresql.key"), files.get("sslpassword", "")
        with parameters.reading("sslcert"):
            context.load_cert_chain(certificate, key, lambda: password)


def _usual(name: str) -> str | None:
    """Return the file where libpq looks when none is named, or None when it is not there."""
    try:
        file = Path.home() / ".postgresql" / name
    except RuntimeError:  # the user has no home directory
        return None
    return str(file) if file.is_file() else None
