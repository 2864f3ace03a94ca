"""What something costs, in function calls."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import FrameType


async def calls_of(work: Callable[[], Awaitable[None]]) -> int:
    """Return how many functions are called while `work` runs, those of C included."""
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(None)
    return calls
