"""Adopts the orphans below it and never waits for them, kills the server it started, and starts it again."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from livingworld.embedded_server import EmbeddedServer
from tests.support.embedded_servers import ask_server, kill, process_state, server_process

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with EmbeddedServer(Path(sys.argv[1])) as server:
        data = next(Path(sys.argv[1]).rglob("PG_VERSION")).parent
        process = server_process(data)
        assert process is not None
        kill(process)
        print({"Z": "zombie"}.get(process_state(process) or "", "gone"))
        server.ensure_running()
        print("back" if ask_server(server, "SELECT 1") == 1 else "away")
        print({"Z": "zombie"}.get(process_state(process) or "", "gone"))


if __name__ == "__main__":
    main()
