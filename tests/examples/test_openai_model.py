"""A real HTTP server that speaks the chat-completions protocol, well and badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tests.examples.servers import Player, Server, new_story, serving

SCENE: Final = ["The boat", " came in.", "\n1. Step ashore\n2. Stay\n"]


def streamed(pieces: list[str]) -> list[str]:
    return [f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n" for piece in pieces]


#: What the endpoint answers to the first, second, ... request.
ANSWERS: Final[dict[str, tuple[str, list[str]]]] = {
    "well": ("200 OK", [*streamed(SCENE), "data: [DONE]\n\n"]),
    "failing": ("500 Internal Server Error", ["no"]),
    "cut off": ("200 OK", streamed(SCENE[:1])),
    "garbage": ("200 OK", ["data: {no json\n\n", "data: [DONE]\n\n"]),
    "strange": ("200 OK", ['data: {"choices": 7}\n\n', "data: [DONE]\n\n"]),
    "nothing": ("200 OK", ["data: [DONE]\n\n"]),
}
FAILURES: Final = [how for how in ANSWERS if how != "well"]


@asynccontextmanager
async def endpoint(*answers: str) -> AsyncIterator[tuple[str, list[dict[str, object]]]]:
    """Give the URL of an endpoint that answers so, and what it was asked."""
    asked: list[dict[str, object]] = []
    waiting = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        (length,) = (int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
        asked.append({"line": head.splitlines()[0], **json.loads(await reader.readexactly(length))})
        status, body = ANSWERS[waiting.pop(0)]
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n".encode())
        writer.write("".join(body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked


async def test_an_endpoint_tells_a_scene_with_its_choices(database_url: str) -> None:
    async with endpoint("well") as (url, asked):
        with serving(database_url, model_url=url) as server:
            story = await new_story(server)
            async with Player.at(server, story) as player:
                told = await player.play(expected_head=0, instruction="bring the boat in")
                (answer,) = await player.get("/scenes/1/alternatives")

    assert told["scene"]["text"] == "The boat came in."
    assert [choice["text"] for choice in told["scene"]["choices"]] == ["Step ashore", "Stay"]
    assert (asked[0]["line"], asked[0]["stream"]) == ("POST /v1/chat/completions HTTP/1.1", True)
    assert "bring the boat in" in json.dumps(asked[0]["messages"])
    assert answer["model"] == "llama3.2"


async def test_an_endpoint_that_fails_leaves_a_story_that_can_be_played_on(database_url: str) -> None:
    answers = [answer for how in FAILURES for answer in (how, "well")]
    async with endpoint(*answers) as (url, _):
        with serving(database_url, model_url=url) as server:
            for how in FAILURES:
                await assert_played_on(server, how)


async def assert_played_on(server: Server, how: str) -> None:
    """Play a turn that the endpoint fails, and then again."""
    async with Player.at(server, await new_story(server)) as player:
        refused = await player.play("click", expected_head=0)
        told = await player.play("click", expected_head=0)
        answers = await player.get("/scenes/1/alternatives")

    assert refused["error"] in {"ModelFailedError", "ValueError"}, how
    assert told["scene"]["number"] == 1
    assert [answer["state"] for answer in answers] == ["failed", "complete"]
    assert answers[0]["error"].startswith(refused["error"])
