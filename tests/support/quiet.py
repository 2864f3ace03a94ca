"""A LivingWorld whose background sends nothing of its own while a test counts statements."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from livingworld import LivingWorld, Settings


def open_quietly(url: str) -> AbstractAsyncContextManager[LivingWorld]:
    """Open it without the indexing of words, which begins a second after a commit."""
    return LivingWorld.open(Settings.load(database_url=url, index_words=False))
