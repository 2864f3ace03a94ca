"""What livingworld needs of an embedding model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from livingworld.errors import InvalidType
from livingworld.inputs import check_integer, check_label
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS


class Embedder(Protocol):
    """Turns texts into vectors; two embedders of one name and size give equal texts equal vectors."""

    @property
    def name(self) -> str:
        """Name of the model, which vectors are cached and compared under."""
        ...

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector for each text, in order.

        Whatever it raises is raised in every caller that waits for these texts; after MemoryError or OutOfMemory it is
        called again with fewer of them.
        """
        ...


def check_embedder(embedder: Embedder) -> tuple[str, int]:
    """Return name and dimensions of an embedder; raise InvalidInput when they cannot be stored."""
    if not all(hasattr(embedder, part) for part in ("name", "dimensions", "embed")):
        raise InvalidType("embedder", f"must be an Embedder, not {type(embedder).__name__}")
    name = check_label("embedder.name", embedder.name)
    return name, check_integer("embedder.dimensions", embedder.dimensions, minimum=1, maximum=MAX_DIMENSIONS)
