"""The `livingworld` command, which presses Ctrl-C itself at one moment: `interrupted_program.py EVENT TEXT ARGUMENTS`.

EVENT and a TEXT in its arguments name an audit event of Python, such as `import 'sqlalchemy'`: always the same moment.
With a program that is started, the signal comes when that program runs, and reaches it too, as in a terminal.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

event, text = sys.argv[1:3]
del sys.argv[1:3]
pressed = False


def hear(name: str, arguments: tuple[Any, ...]) -> None:
    """Press Ctrl-C at the first event that is meant: Python's audit hook."""
    global pressed  # noqa: PLW0603 - a hook has no object
    if pressed or name != event or text not in str(arguments):
        return
    pressed = True
    if event == "subprocess.Popen":
        threading.Thread(target=press_when_it_runs, args=(os.getpgrp(),), daemon=True).start()
    else:
        os.killpg(os.getpgrp(), signal.SIGINT)


def press_when_it_runs(group: int) -> None:
    """Send SIGINT to the group once the child is in it, or is a group of its own."""
    program = text.partition("'")[0]
    while not any(is_child(folder, program) for folder in Path("/proc").glob("[0-9]*")):
        time.sleep(0.001)
    os.killpg(group, signal.SIGINT)


def is_child(folder: Path, program: str) -> bool:
    """Return whether this process is the program, and ours."""
    try:
        command = (folder / "cmdline").read_bytes().split(b"\0")
        parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return False
    return parent == os.getpid() and command[0].endswith(program.encode())


sys.addaudithook(hear)
from livingworld_command import main  # noqa: E402 - every import is a moment

main()
