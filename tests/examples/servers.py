"""The story generator as a real process, and players who talk with it over HTTP and WebSockets."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.context import ForkServerProcess
from typing import Any, Final, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.examples import story_generator_program
from tests.support.command import PROCESSES
from tests.support.patience import PATIENCE, patiently
from tests.support.run_role import pooler_of_the_run, url_of_the_run

#: So long a dead server's turn waits for its successor.
LEASE_SECONDS: Final = 5


class Server:
    """A running story generator."""

    def __init__(self, process: ForkServerProcess, port: int) -> None:
        self._process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def kill(self) -> None:
        """End it with SIGKILL, in the middle of whatever it does."""
        self._process.kill()
        self._process.join()


@contextmanager
def serving(
    database_url: str,
    *,
    word_delay: float = 0.001,
    model_url: str | None = None,
    port: int | None = None,
    lease_seconds: int = LEASE_SECONDS,
) -> Iterator[Server]:
    """Start a server, wait until it answers, and end it with the block."""
    port = port or free_port()
    arguments = ["--port", str(port), "--database-url", url_of_the_run(database_url), "--word-delay", str(word_delay)]
    if model_url:
        arguments += ["--model-url", model_url]
    output, written = PROCESSES.Pipe(duplex=False)
    environment = os.environ | {"LIVINGWORLD_TURN_LEASE": str(lease_seconds)} | pooler_of_the_run(database_url)
    process = PROCESSES.Process(target=story_generator_program.run, args=(arguments, environment, written))
    process.start()
    try:
        written.close()
        with open(output.fileno(), encoding="utf-8", closefd=False) as printed:
            assert printed.readline().startswith("http://127.0.0.1")
            until_it_answers(port)
            yield Server(process, port)
    finally:
        process.terminate()
        process.join(10)
        process.kill()
        process.join()
        output.close()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def until_it_answers(port: int) -> None:
    """Return when a server answers there."""
    transport = httpx.HTTPTransport(retries=60)  # of the connection, with pauses that grow
    with httpx.Client(transport=transport, timeout=PATIENCE.total_seconds()) as client:
        assert client.get(f"http://127.0.0.1:{port}/api/stories").status_code == 200


class Player:
    """Somebody who plays one story on one server."""

    def __init__(self, server: Server, story_id: str, live: ClientConnection) -> None:
        self._url = f"{server.url}/api/stories/{story_id}"
        self._live = live

    @classmethod
    @asynccontextmanager
    async def at(cls, server: Server, story_id: str) -> AsyncIterator[Self]:
        """Open a socket for a story."""
        async with connect(f"ws://127.0.0.1:{server.port}/api/stories/{story_id}/live") as live:
            yield cls(server, story_id, live)

    async def ask(self, request_key: str | None = None, **request: object) -> str:
        """Ask for a turn and return its request key."""
        key = request_key or str(uuid.uuid4())
        await self._live.send(json.dumps({"type": "play", "request_key": key, **request}))
        return key

    async def stop(self, request_key: str) -> None:
        """Stop a turn."""
        await self._live.send(json.dumps({"type": "stop", "request_key": request_key, "player": "Bo"}))

    async def turns(self, *, running: int = 0, waiting: int = 0) -> list[dict[str, Any]]:
        """Hear that so many turns run and so many wait, and return them."""
        while True:
            turns: list[dict[str, Any]] = (await self.hear("turns"))["turns"]
            if (sum(turn["running"] for turn in turns), len(turns)) == (running, running + waiting):
                return turns

    async def hear(self, *kinds: str, request_key: str | None = None) -> dict[str, Any]:
        """Return the next message of these kinds, about this request when it is named."""
        async with patiently():
            while True:
                message: dict[str, Any] = json.loads(await self._live.recv())
                if message["type"] in kinds and request_key in {None, message.get("request_key")}:
                    return message

    async def play(self, request_key: str | None = None, **request: object) -> dict[str, Any]:
        """Ask for a turn and return what became of it."""
        key = await self.ask(request_key, **request)
        return await self.hear("scene", "refused", request_key=key)

    async def get(self, path: str = "") -> Any:  # noqa: ANN401 - JSON
        """Read something of the story."""
        return await self._call("GET", path)

    async def post(self, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
        """Change something of the story."""
        return await self._call("POST", path, json=body)

    async def _call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
        async with httpx.AsyncClient(timeout=PATIENCE.total_seconds()) as client:
            response = await client.request(method, f"{self._url}{path}", **options)
        return response.json() | {"status": response.status_code} if response.is_error else response.json()


async def new_story(server: Server, title: str = "The Causeway") -> str:
    """Begin a story and return its id."""
    async with httpx.AsyncClient(timeout=PATIENCE.total_seconds()) as client:
        answer = await client.post(f"{server.url}/api/stories", json={"title": title, "premise": "A lantern."})
    assert answer.status_code == 201
    return str(answer.json()["id"])
