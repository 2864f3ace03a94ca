"""Any endpoint that speaks OpenAI's embeddings protocol: OpenAI, Ollama, llama.cpp, vLLM and others."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, Self

from livingworld.errors import (
    BatchSizeMismatch,
    EmbedderTimeout,
    EmbedderUnavailable,
    InvalidText,
    MissingPackage,
    OutOfMemory,
)
from livingworld.inputs import check_integer, check_label, check_text
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS

_TIMEOUT: Final = timedelta(seconds=30)
_TOO_MUCH: Final = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INSUFFICIENT_STORAGE)


class OpenAICompatibleEmbedder:
    """An embedder behind an URL; needs `livingworld[embeddings]`. Its connections are closed by `close`."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        dimensions: int,
        api_key: str | None = None,
        shorten: bool = False,
        timeout: timedelta = _TIMEOUT,
    ) -> None:
        """`url` ends before `/embeddings`, as in `http://localhost:11434/v1`.

        `shorten` asks a model that can give vectors of several sizes for this one. `timeout` bounds a whole request.
        Raises MissingPackage, InvalidInput.
        """
        self.name = check_label("model", model)
        self.dimensions = check_integer("dimensions", dimensions, minimum=1, maximum=MAX_DIMENSIONS)
        self._url = f"{check_text('url', url, empty=False).rstrip('/')}/embeddings"
        self._options = {"model": model, **({"dimensions": dimensions} if shorten else {})}
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {_check_key(api_key)}"}
        self._timeout = timeout
        self._httpx = _import_httpx()
        self._client: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the next call opens others."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def embed(self, texts: Sequence[str]) -> list[Any]:
        """Return one vector for each text, in order.

        Raises BatchSizeMismatch when an index is missing or comes twice, OutOfMemory when the endpoint says that it is
        too much at once, EmbedderTimeout, EmbedderUnavailable.
        """
        cause: Exception | None = None
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):  # of the whole, however slowly it trickles
                response = await self._post(texts)
        except TimeoutError:
            failure: EmbedderTimeout | EmbedderUnavailable = EmbedderTimeout(limit=self._timeout)
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            failure, cause = EmbedderUnavailable(status=None), error
        else:
            return _in_order(_items(response), len(texts))
        raise failure from cause

    async def _post(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - httpx is imported late
        if self._client is None:
            self._client = self._httpx.AsyncClient(timeout=None, headers=self._headers)
        return await self._client.post(self._url, json={**self._options, "input": list(texts)})


def _check_key(api_key: str) -> str:
    """Return a key that a header can carry; what httpx says of any other would quote it."""
    if not check_text("api_key", api_key, empty=False).isascii() or not api_key.isprintable():
        raise InvalidText("api_key", "holds a character that no HTTP header takes")
    return api_key


def _items(response: Any) -> list[tuple[int, Any]]:  # noqa: ANN401
    """Return index and vector of each item of an answer."""
    status = response.status_code
    if status in _TOO_MUCH:
        raise OutOfMemory(status=status)
    if not response.is_success:
        raise EmbedderUnavailable(status=status)
    try:
        return [(item["index"], item["embedding"]) for item in response.json()["data"]]
    except (ValueError, LookupError, TypeError):
        problem = EmbedderUnavailable(status=status, reason="the answer holds no embeddings")
    raise problem


def _in_order(items: Sequence[tuple[int, Any]], count: int) -> list[Any]:
    """Return the vectors in the order of the texts; raise BatchSizeMismatch unless each index came once."""
    by_index = {index: vector for index, vector in items if type(index) is int and 0 <= index < count}
    if len(by_index) != count or len(items) != count:
        actual = len(items) if len(items) != count else len(by_index)
        raise BatchSizeMismatch(expected=count, actual=actual)
    return [by_index[index] for index in range(count)]


def _import_httpx() -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        return importlib.import_module("httpx")
    except ImportError as error:
        cause = error
    raise MissingPackage(package="httpx", extra="livingworld[embeddings]") from cause
