"""Give scenes and characters their vectors, and find them by a text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from livingworld.background.periodic_service import running
from livingworld.coordination.locks.leases import Leases
from livingworld.errors import LeaseHeld
from livingworld.inputs import check_integer, check_text
from livingworld.models.embeddings.embedder import check_embedder
from livingworld.models.embeddings.pipeline import EmbeddingPipeline
from livingworld.models.embeddings.records import Embedded
from livingworld.observability import events
from livingworld.observability.metrics import Metrics
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.semantic_search.records import SimilarTexts
from livingworld.story.semantic_search.repository import SemanticSearch, checked_options
from livingworld.story.semantic_search.vector_writing import (
    MissingText,
    TextKey,
    array_text,
    find_missing,
    keep_character_vectors,
    keep_scene_vectors,
    remove_vectors,
)

#: Most texts of one round.
MAX_TEXTS: Final = 1000
_QUERY_CHARACTERS: Final = 10_000
#: A text that could not be embedded is passed over for so long.
_PAUSE_SECONDS: Final = 60.0
#: Most such texts; when there are more, nothing more is tried until one of them is due.
_MOST_PASSED: Final = 1000


class _Round(NamedTuple):
    """What one round did."""

    tried: int
    kept: int


class TextEmbeddings:
    """The vectors of one world's scenes and characters by one embedder; made by `World.text_embeddings`."""

    def __init__(self, unit: WorldUnit, leases: Leases, pipeline: EmbeddingPipeline, metrics: Metrics) -> None:
        self._unit = unit
        self._leases = leases
        self._pipeline = pipeline
        self._metrics = metrics
        self._name, _ = check_embedder(pipeline.embedder)
        self._search = SemanticSearch(unit)
        #: What could not be embedded, and when it is tried again, by the monotonic clock.
        self._passed: dict[TextKey, float] = {}

    async def run_once(self, limit: int = 64) -> int:
        """Embed up to `limit` scenes and characters that have no vector of their newest text, and return how many.

        0: nothing is left to do now, or another process does it: one works at a time, by a lease. No transaction is
        open while the embedder works. A scene is seen once its words are indexed, a second after its commit as a rule.
        A text that cannot be embedded is tried again after a minute; it holds no other one up.
        """
        return (await self._round(limit)).kept

    async def run_all(self, limit: int = 64) -> int:
        """Embed until nothing is left that could be tried now, and return how many texts got a vector."""
        count = 0
        while (done := await self._round(limit)).tried:
            count += done.kept
        return count

    def running(self, every: timedelta = timedelta(seconds=5)) -> AbstractAsyncContextManager[None]:
        """Embed in the background while the block runs, looking for work about once in `every`."""
        self._unit.refuse_misplaced()
        return running("text embeddings", self.run_once, every=every, metrics=self._metrics)

    async def find(self, query: str | Sequence[float], **options: Any) -> SimilarTexts:  # noqa: ANN401
        """Return the scenes and characters nearest to a text, or to a vector; options and errors as `similar` has them.

        `similar` is SemanticSearch's; for a text, what the embedder raises too.
        """
        checked_options(**options)  # before the embedder is asked
        if isinstance(query, str):
            text = check_text("query", query, limit=_QUERY_CHARACTERS, empty=False)
            (query,) = await self._pipeline.embed([text])
        return await self._search.similar(query, embedder=self._name, **options)

    async def remove(self) -> int:
        """Remove all vectors of this embedder, and return how many there were: for one that is used no more."""
        return await self._unit.write(remove_vectors, self._name)

    async def _round(self, limit: int) -> _Round:
        check_integer("limit", limit, minimum=1, maximum=MAX_TEXTS)
        if not await self._find(limit):
            return _Round(0, 0)
        try:
            async with self._leases.hold(f"livingworld embeds texts: {self._name[:100]}"):
                texts = await self._find(limit)  # another process may have come first
                return _Round(len(texts), await self._embed(texts) if texts else 0)
        except LeaseHeld:
            return _Round(0, 0)

    async def _find(self, limit: int) -> list[MissingText]:
        now = time.monotonic()
        self._passed = {key: due for key, due in self._passed.items() if due > now}
        if len(self._passed) >= _MOST_PASSED:
            return []
        return await self._unit.read(find_missing, self._name, limit, tuple(self._passed))

    async def _embed(self, texts: Sequence[MissingText]) -> int:
        embedded = await self._pipeline.embed_each_apart([text.text for text in texts])
        self._pass_over([texts[place] for place in embedded.missing], embedded)
        made = [(texts[place], array_text(embedded.vectors[place] or ())) for place in embedded.embedded]
        kept = 0
        for keep, kind in ((keep_scene_vectors, tuple), (keep_character_vectors, UUID)):
            of_kind = [each for each in made if isinstance(each[0].key, kind)]
            if of_kind:
                columns = map(list, zip(*of_kind, strict=True))
                kept += await self._unit.write_single_idempotent(keep, self._name, *columns)
        return kept

    def _pass_over(self, texts: Sequence[MissingText], embedded: Embedded) -> None:
        if not texts:
            return
        due = time.monotonic() + _PAUSE_SECONDS
        self._passed |= {text.key: due for text in texts}
        error = type(next(iter(embedded.failures.values()))).__name__
        fields = {"embedder": self._name, "texts": len(texts), "error": error}
        events.emit(events.TEXTS_NOT_EMBEDDED, world_id=self._unit.world_id, **fields)
