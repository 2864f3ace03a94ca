"""A statement is compiled once for all tests of a process, and not once for each LivingWorld that a test opens.

SQLAlchemy keeps what it compiled with the engine, under the engine's own dialect; all engines of the library have equal
ones. What an application does in its first seconds, each of thousands of tests would do: 20 ms of the 79
of CPU that an ordinary one takes in its worker.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import pytest
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

#: More than the library has statements.
_SIZE: Final = 2_000


class OfAllEngines(LRUCache[tuple[Hashable, ...], Any]):
    """What was compiled, whichever engine asks: by what its dialect compiles with, and the rest of the key."""

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401 - as SQLAlchemy has it
        return super().get(_shared(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401
        super().__setitem__(_shared(key), value)


def _shared(key: tuple[Any, ...]) -> tuple[Hashable, ...]:
    dialect, *rest = key
    json = dialect._json_serializer, dialect._json_deserializer  # their results are kept with what is compiled
    return type(dialect), dialect.server_version_info, dialect.paramstyle, *json, *rest


def pytest_configure(config: pytest.Config) -> None:
    """Give every engine the one cache, whatever it makes for itself."""
    cache, patch = OfAllEngines(_SIZE), pytest.MonkeyPatch()
    patch.setattr(Engine, "_compiled_cache", property(lambda _: cache, lambda *_: None), raising=False)
    config.add_cleanup(patch.undo)
