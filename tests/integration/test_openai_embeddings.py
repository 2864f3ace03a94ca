"""The adapter for OpenAI-compatible endpoints against a real HTTP server that speaks the protocol, well and badly."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from livingworld import OpenAICompatibleEmbedder, Settings, World
from livingworld.app.livingworld import LivingWorld
from livingworld.errors import (
    BatchSizeMismatch,
    DimensionMismatch,
    EmbedderTimeout,
    EmbedderUnavailable,
    EmbeddingFailed,
    InvalidInput,
    OutOfMemory,
)
from tests.support.embedders import vectors
from tests.support.patience import until

KEY = "sk-a-key-that-nobody-must-see"
Items = list[dict[str, Any]]


class Endpoint:
    """Answers `POST /v1/embeddings`; a test changes what."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = "200 OK"
        #: Changes the items of a right answer.
        self.spoil: Callable[[Items], Any] = lambda items: items
        #: The whole body, where it is not what the protocol says.
        self.body: str | None = None
        #: Set when it was asked.
        self.heard = asyncio.Event()
        #: Not set: the answer never comes.
        self.go = asyncio.Event()
        self.go.set()
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        #: Text that a slow endpoint sends again and again before it answers.
        self.trickle: bytes = b""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of one connection."""
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._answer(reader, writer)

    async def close(self) -> None:
        """Close every connection."""
        self.go.set()
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
        request = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.asked.append({"line": head[0], "authorization": headers.get("authorization"), **request})
        self.heard.set()
        body = self._body(request["input"]).encode()
        writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\n".encode())
        while not self.go.is_set() and self.trickle:
            writer.write(self.trickle)
            await writer.drain()
            await asyncio.sleep(0.01)
        await self.go.wait()
        writer.write(b"\r\n" + body)
        await writer.drain()

    def _body(self, texts: list[str]) -> str:
        if self.body is not None:
            return self.body
        items = [
            {"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors(texts))
        ]
        return json.dumps({"object": "list", "data": self.spoil(items), "model": "small"})


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield endpoint
    await endpoint.close()
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def adapter(endpoint: Endpoint, **options: Any) -> AsyncIterator[OpenAICompatibleEmbedder]:  # noqa: ANN401
    async with OpenAICompatibleEmbedder(endpoint.url, "small", dimensions=8, **options) as embedder:
        yield embedder


async def test_texts_become_vectors_in_order_whatever_the_order_of_the_answer(endpoint: Endpoint) -> None:
    endpoint.spoil = lambda items: items[::-1]
    texts = ["one", "three", "eleven"]
    async with adapter(endpoint, api_key=KEY) as embedder:
        found = await embedder.embed(texts)
        await embedder.embed(texts)

    assert found == vectors(texts)
    asked = endpoint.asked[0]
    assert (asked["line"], asked["authorization"]) == ("POST /v1/embeddings HTTP/1.1", f"Bearer {KEY}")
    assert (asked["model"], asked["input"]) == ("small", texts)
    assert "dimensions" not in asked
    assert endpoint.connections == 1, "the connection is used again"


async def test_a_model_of_several_sizes_is_asked_for_one(endpoint: Endpoint) -> None:
    async with adapter(endpoint, shorten=True) as embedder:
        await embedder.embed(["x"])

    assert (endpoint.asked[0]["dimensions"], endpoint.asked[0]["authorization"]) == (8, None)


WRONG_COUNTS: dict[str, tuple[Callable[[Items], Any], int]] = {
    "one too few": (lambda items: items[1:], 2),
    "none": (lambda _: [], 0),
    "one too many": (lambda items: [*items, {**items[0], "index": 3}], 4),
    "one twice": (lambda items: [items[0], items[1], items[1]], 2),
    "one twice and all": (lambda items: [*items, items[1]], 4),
    "below": (lambda items: [{**items[0], "index": -1}, *items[1:]], 2),
    "no number": (lambda items: [{**items[0], "index": "0"}, *items[1:]], 2),
    "no integer": (lambda items: [items[0], {**items[1], "index": True}, items[2]], 2),
}


@pytest.mark.parametrize("how", WRONG_COUNTS)
async def test_a_missing_or_repeated_index_is_a_mismatch(endpoint: Endpoint, how: str) -> None:
    endpoint.spoil, actual = WRONG_COUNTS[how]
    async with adapter(endpoint) as embedder:
        with pytest.raises(BatchSizeMismatch) as caught:
            await embedder.embed(["a", "b", "c"])

    assert (caught.value.expected, caught.value.actual) == (3, actual)


@pytest.mark.parametrize(
    "status", ["500 Internal Server Error", "503 Busy", "429 Slow Down", "401 No", "302 Elsewhere"]
)
async def test_an_http_error_is_unavailable_with_its_status(endpoint: Endpoint, status: str) -> None:
    endpoint.status = status
    async with adapter(endpoint, api_key=KEY) as embedder:
        with pytest.raises(EmbedderUnavailable) as caught:
            await embedder.embed(["a"])

    assert caught.value.status == int(status[:3])
    assert KEY not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


@pytest.mark.parametrize("status", ["413 Payload Too Large", "507 Insufficient Storage"])
async def test_too_much_at_once_is_out_of_memory(endpoint: Endpoint, status: str) -> None:
    endpoint.status = status
    async with adapter(endpoint) as embedder:
        with pytest.raises(OutOfMemory):
            await embedder.embed(["a"])


STRANGE = [
    "",
    "{no json",
    "[]",
    "null",
    '{"data": 7}',
    '{"data": [7]}',
    '{"data": [{"index": 0}]}',
    '{"error": "x"}',
    "\xff",
]


@pytest.mark.parametrize("body", STRANGE, ids=repr)
async def test_an_answer_without_embeddings_is_unavailable(endpoint: Endpoint, body: str) -> None:
    endpoint.body = body
    async with adapter(endpoint) as embedder:
        with pytest.raises(EmbedderUnavailable, match="no embeddings"):
            await embedder.embed(["a"])


@pytest.mark.parametrize("trickle", [b"", b"X-Wait: a little\r\n"], ids=["silent", "trickling"])
async def test_a_slow_answer_is_a_timeout_also_when_it_trickles(endpoint: Endpoint, trickle: bytes) -> None:
    endpoint.trickle = trickle
    endpoint.go.clear()
    async with adapter(endpoint, timeout=timedelta(milliseconds=200)) as embedder:
        with pytest.raises(EmbedderTimeout):
            await embedder.embed(["a"])
        endpoint.go.set()

        async def answered() -> bool:
            try:
                return len(await embedder.embed(["a"])) == 1
            except EmbedderTimeout:  # a slow machine
                return False

        await until(answered)


async def test_where_nobody_answers_it_is_unavailable() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with OpenAICompatibleEmbedder(f"http://127.0.0.1:{port}/v1/", "small", dimensions=8) as embedder:
        with pytest.raises(EmbedderUnavailable) as caught:
            await embedder.embed(["a"])

    assert caught.value.status is None


async def test_a_call_that_is_cancelled_leaves_an_embedder_that_works(endpoint: Endpoint) -> None:
    endpoint.go.clear()
    async with adapter(endpoint) as embedder:
        call = asyncio.create_task(embedder.embed(["a"]))
        await endpoint.heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        endpoint.go.set()
        assert len(await embedder.embed(["a"])) == 1


@pytest.mark.parametrize("url", ["not a url", "ftp://127.0.0.1/v1", "http://[/v1", "http://"])
async def test_what_is_no_address_is_unavailable(url: str) -> None:
    async with OpenAICompatibleEmbedder(url, "small", dimensions=8) as embedder:
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed(["a"])


BAD: list[dict[str, Any]] = [
    {"url": ""},
    {"url": 7},
    {"model": ""},
    {"model": "x" * 501},
    {"dimensions": 0},
    {"dimensions": "8"},
    {"api_key": ""},
    {"api_key": f"{KEY}\n"},
    {"api_key": f"{KEY}é"},
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: repr(bad)[-30:])
def test_an_endpoint_that_cannot_be_one_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        OpenAICompatibleEmbedder(**{"url": "http://a/v1", "model": "m", "dimensions": 8, **bad})

    assert caught.value.field == next(iter(bad))
    assert KEY not in repr(caught.value)


async def test_the_pipeline_counts_what_an_endpoint_returns(database_url: str, endpoint: Endpoint) -> None:
    endpoint.spoil = lambda items: items[1:] if items[0]["embedding"][0] == 4.0 else items
    settings = Settings.load(database_url=database_url, embedding_batch_size=2, embedding_concurrency=1)
    async with LivingWorld.open(settings) as livingworld, adapter(endpoint) as embedder:
        world = await livingworld.worlds.create("Saltmarsh")
        with pytest.raises(BatchSizeMismatch) as caught:
            await world.embeddings(embedder).embed(["a", "b", "four", "d", "e"])

    assert (caught.value.batch, caught.value.expected, caught.value.actual) == (2, 2, 1)
    assert (caught.value.embedded, caught.value.missing) == ((0, 1, 4), (2, 3))
    assert [asked["input"] for asked in endpoint.asked] == [["a", "b"], ["four", "d"], ["e"]]


async def test_an_endpoint_of_another_size_is_a_dimension_mismatch(world: World, endpoint: Endpoint) -> None:
    async with OpenAICompatibleEmbedder(endpoint.url, "small", dimensions=9) as embedder:
        with pytest.raises(DimensionMismatch) as caught:
            await world.embeddings(embedder).embed(["a"])

    assert (caught.value.expected, caught.value.actual) == (9, 8)


@pytest.mark.parametrize("embedding", ["AAAA", None, {}, [None] * 8, ["1"] * 8, []], ids=repr)
async def test_what_is_no_vector_in_a_right_answer_is_not_kept(
    world: World,
    endpoint: Endpoint,
    embedding: Any,  # noqa: ANN401
) -> None:
    endpoint.spoil = lambda items: [{**items[0], "embedding": embedding}]
    async with adapter(endpoint) as embedder:
        with pytest.raises((InvalidInput, EmbeddingFailed)):
            await world.embeddings(embedder).embed(["a"])
