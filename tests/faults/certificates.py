"""A certificate authority that lives for one test module, and what it signed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livingworld.embedded_server.server_account import ServerAccount

#: What a server may show.
SHOWN: Final = ("server", "expired", "alone")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in one folder; NAME.crt and NAME.key."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Sign `server` for the name localhost, `client` for the role by_certificate; `other` is another authority.

        `expired` was valid until yesterday, and `alone` has signed itself.
        """
        made = cls(folder)
        for authority in ("authority", "other"):
            made._openssl("req", "-x509", "-subj", f"/CN={authority}", *made._new_key(authority), "-days", "2")
        made._sign("server", "localhost")
        made._sign("client", "by_certificate")
        made._sign("expired", "localhost", days=-1)
        name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        made._openssl("req", "-x509", *name, *made._new_key("alone"), "-days", "2")
        return made

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def for_server(self, home: Path, account: ServerAccount) -> dict[str, str]:
        """Return the server's settings, with copies of the files that it may read."""
        for name in ("authority.crt", *(f"{each}.{end}" for each in SHOWN for end in ("crt", "key"))):
            copy = Path(shutil.copy(self.folder / name, home))
            copy.chmod(0o600)
            account.take(copy)
        files = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "authority.crt"}
        return {"ssl": "on"} | {setting: str(home / name) for setting, name in files.items()}

    def _sign(self, name: str, common_name: str, *, days: int = 2) -> None:
        self._openssl("req", "-subj", f"/CN={common_name}", *self._new_key(name, request=True))
        extension = self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName=DNS:{common_name}")
        signed = ("-CA", self.file("authority.crt"), "-CAkey", self.file("authority.key"), "-CAcreateserial")
        files = ("-in", self.file(f"{name}.csr"), "-out", self.file(f"{name}.crt"), "-extfile", str(extension))
        self._openssl("x509", "-req", "-days", str(days), *signed, *files)

    def _new_key(self, name: str, *, request: bool = False) -> tuple[str, ...]:
        written = self.file(f"{name}.csr" if request else f"{name}.crt")
        return ("-newkey", "rsa:2048", "-nodes", "-keyout", self.file(f"{name}.key"), "-out", written)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
