"""The story generator in a fork of a process that has imported it, which takes 0.2 s of CPU and not 1.3."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "examples" / "story_generator"


def preload() -> None:
    """Import it, before the fork."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    import uvicorn.lifespan.on  # noqa: PLC0415
    import uvicorn.loops.auto  # noqa: PLC0415
    import uvicorn.protocols.http.auto  # noqa: PLC0415
    import uvicorn.protocols.websockets.auto  # noqa: F401, PLC0415 - uvicorn finds them by name

    import story_generator.__main__  # noqa: F401, PLC0415 - not for the processes that only name `run`
    from livingworld import LivingWorld  # noqa: F401, PLC0415 - with what it needs


def run(arguments: Sequence[str], environment: dict[str, str], output: Connection) -> None:
    """Be `python -m story_generator`, as far as a program can see, with this standard output."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["story_generator", *arguments]
    os.dup2(output.fileno(), sys.stdout.fileno())
    output.close()
    preload()
    from story_generator.__main__ import main  # noqa: PLC0415

    main()
