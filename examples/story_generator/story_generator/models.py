"""What a language model is here, and which one is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from story_generator.built_in_model import BuiltInModel
from story_generator.config import Config
from story_generator.openai_model import OpenAIModel


class Model(Protocol):
    """A language model that answers in pieces."""

    name: str

    def stream(self, prompt: str, begun: str = "") -> AsyncIterator[str]:
        """Give the answer piece by piece, or the rest of one that has `begun`; raises ModelFailedError."""
        ...


def choose_model(config: Config) -> Model:
    """Return the model that the command line asks for."""
    if config.model_url is None:
        return BuiltInModel(config.seed, config.word_delay)
    return OpenAIModel(config.model_url, config.model, config.model_key, config.model_timeout)
