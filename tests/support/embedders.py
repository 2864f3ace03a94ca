"""Embedders whose answers a test decides, and what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from livingworld.testing.hashing_embedder import HashingEmbedder

#: Makes an answer of a batch, or raises.
Answer = Callable[[Sequence[str]], Awaitable[Any]]


class StagedEmbedder(HashingEmbedder):
    """Notes each batch, waits until it is let go, and answers as it was told to."""

    def __init__(self, dimensions: int = 8, *, name: str = "staged", answer: Answer | None = None) -> None:
        super().__init__(dimensions)
        self.name = name
        self.batches: list[tuple[str, ...]] = []
        #: Each batch when it begins, for tests that wait for it.
        self.begun: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self.go = asyncio.Event()
        self.go.set()
        self.answer: Answer = answer or super().embed
        self.under_way = 0
        self.most_under_way = 0
        self.cancelled = 0

    async def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - what it must not answer too
        self.batches.append(tuple(texts))
        self.begun.put_nowait(tuple(texts))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.go.wait()
            return await self.answer(texts)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1


def vectors(texts: Sequence[str], dimensions: int = 8) -> list[list[float]]:
    """Return good vectors that tell their texts' lengths."""
    return [[float(len(text)), *[1.0] * (dimensions - 1)] for text in texts]
