"""The blocks of the tutorial in their order, in one coroutine: what `python -m asyncio` is to its reader."""

from __future__ import annotations

import asyncio


async def main() -> None:
    assert __name__ == "__main__"
    # the example stands here


asyncio.run(main())
