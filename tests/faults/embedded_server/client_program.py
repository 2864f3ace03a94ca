"""A client of the embedded server, driven line by line: reads start, restart, stop; prints ready, started, stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from livingworld.embedded_server import EmbeddedServer
from livingworld.errors import EmbeddedServerFailed


def main() -> None:
    home, binaries = Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None
    server = EmbeddedServer(home, binaries=binaries, durable=False)
    commands = {"start": server.start, "ensure": server.ensure_running, "stop": server.stop}
    print("ready", flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "fork":
            if os.fork() == 0:
                os.read(os.open(home / "release-child", os.O_RDONLY), 1)  # a named pipe: blocks until it is opened
                os._exit(0)
        elif word == "leave":
            sys.exit(0)  # without a stop
        else:
            commands[word]()
        print(f"{word} done", flush=True)


if __name__ == "__main__":
    try:
        main()
    except EmbeddedServerFailed as error:
        print(f"failed: {error}".replace("\n", " "), flush=True)
