"""The machine of a test was started a moment ago: the clock of its event loop counts from nought.

What did not happen yet is older than any limit. Code that writes it as moment 0 is right only on a machine that has
been running for longer than that limit. The loop of blocking calls, in a thread of its own, keeps the machine's clock:
the deadline of a thread is a moment of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Let the clocks begin with this process; asyncio's own counts from the start of the machine."""
    started = time.monotonic()

    def since_the_start(loop: Any) -> float:  # noqa: ANN401 - with an attribute that asyncio's has not
        try:
            return time.monotonic() - float(loop.counts_from)
        except AttributeError:
            loop.counts_from = started if threading.current_thread() is threading.main_thread() else 0.0
        return time.monotonic() - float(loop.counts_from)

    asyncio.BaseEventLoop.time = since_the_start  # type: ignore[method-assign,assignment]
