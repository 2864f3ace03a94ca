"""The entries of guards.toml: what takes each guard out, and the tests that must then fail."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
GUARDS: Final = Path(__file__).with_name("guards.toml")


@dataclass(frozen=True, slots=True)
class GuardToRemove:
    """One entry of guards.toml."""

    name: str
    kind: str
    file: str
    takes_out: str
    leaves: str
    #: Files, or single tests: `file::test`.
    tests: tuple[str, ...]
    #: Why the guard may stand although no test notices that it is gone.
    survives: str = ""

    @property
    def digest(self) -> str:
        """What tells this entry from another one, and from itself when it was changed."""
        return blake2b(repr(self).encode(), digest_size=8).hexdigest()

    @property
    def is_in_function(self) -> bool:
        """Whether it stands in a function of the database."""
        path = Path(self.file)
        return path.parent.name == "sql" and "_v" in path.stem

    @property
    def is_in_migrations(self) -> bool:
        """Whether the migrations have its text."""
        return self.is_in_function or "Table(" in (ROOT / self.file).read_text(encoding="utf-8")


def guards() -> tuple[GuardToRemove, ...]:
    """Return every entry of guards.toml."""
    entries: list[dict[str, Any]] = tomllib.loads(GUARDS.read_text(encoding="utf-8"))["guard"]
    return tuple(GuardToRemove(**(entry | {"tests": tuple(entry["tests"])})) for entry in entries)
