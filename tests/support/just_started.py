"""The machine of a test was started a moment ago: the clock of each event loop counts from nought.

What did not happen yet is older than any limit. Code that writes it as moment 0 is right only on a machine that has
been running for longer than that limit.
"""

from __future__ import annotations

import asyncio
import time

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Let the clocks begin with this process; asyncio's own counts from the start of the machine."""
    started = time.monotonic()

    def since_the_start(_: asyncio.BaseEventLoop) -> float:
        return time.monotonic() - started

    asyncio.BaseEventLoop.time = since_the_start  # type: ignore[method-assign,assignment]
