"""A file at which an export or an import stands still until the test lets it go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from tests.support.patience import PATIENCE


class GatedFile(BytesIO):
    """Stands still once, before it is written or read for the time `at`."""

    def __init__(self, content: bytes = b"", *, at: int) -> None:
        super().__init__(content)
        self._left = at
        self._reached, self._open = threading.Event(), threading.Event()

    async def reached(self) -> None:
        """Wait until somebody stands at the gate."""
        assert await asyncio.to_thread(self._reached.wait, PATIENCE.total_seconds())

    def open_gate(self) -> None:
        """Let whoever stands there go on."""
        self._open.set()

    def writelines(self, lines: Iterable[Any], /) -> None:
        self._pass()
        super().writelines(lines)

    def readline(self, size: int | None = -1, /) -> bytes:
        self._pass()
        return super().readline(size)

    def _pass(self) -> None:
        self._left -= 1
        if not self._left:
            self._reached.set()
            assert self._open.wait(PATIENCE.total_seconds())
