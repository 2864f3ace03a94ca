"""Finds where a test waits for time to pass, or holds something to a clock, instead of waiting for a cause."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

#: Calls that let time pass, or end what takes longer; `patiently()` and `until()` of `patience.py` do both well.
_WAITS: Final = frozenset({"asyncio.sleep", "time.sleep", "asyncio.timeout", "asyncio.timeout_at", "asyncio.wait_for"})
#: What is read to measure how long something takes.
_CLOCKS: Final = frozenset({"time.monotonic", "time.perf_counter", "time.time", "loop.time"})
#: How long somebody has something before another one may take it, or a task is dead.
_LENGTHS: Final = ("ttl", "lease", "dead_after", "deadline", "timeout", "turn_lease", "script_lease")
#: What a machine may take for nothing.
_SHORT: Final = timedelta(seconds=10)


def waits(path: Path) -> Iterator[tuple[int, str]]:
    """Give line and source of each such place in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (isinstance(node, ast.Call) and _waits(node)) or (
            isinstance(node, ast.keyword) and node.arg in _LENGTHS and _is_short(_number(node.value))
        ):
            yield node.lineno, ast.unparse(node)


def _waits(call: ast.Call) -> bool:
    name = ast.unparse(call.func).replace("asyncio.get_running_loop()", "loop").removeprefix("self.")
    if name in _CLOCKS:
        return True
    if name in _WAITS:
        return not (name == "asyncio.sleep" and call.args and _number(call.args[0]) == 0)
    return name == "timedelta" and _is_short(_length(call))


def _length(call: ast.Call) -> float | None:
    parts = {keyword.arg: _number(keyword.value) for keyword in call.keywords}
    if call.args or None in parts or None in parts.values():
        return None
    return timedelta(**parts).total_seconds()  # type: ignore[arg-type]  # names and numbers, as written there


def _number(node: ast.expr) -> float | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int | float) else None


def _is_short(seconds: float | None) -> bool:
    return seconds is not None and 0 < seconds < _SHORT.total_seconds()
