"""What something costs, in function calls."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import FrameType


async def calls_of(work: Callable[[], Awaitable[None]], inside: tuple[str, ...] = ("",)) -> int:
    """Return how many functions are called while `work` runs, those of C included.

    `inside`: only functions of files whose path has one of these parts, and those of C that they call.
    """
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        if event in {"call", "c_call"}:
            calls += any(part in frame.f_code.co_filename for part in inside)

    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(None)
    return calls
