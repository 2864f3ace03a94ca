"""What can be chosen on the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How to serve, where the database is, and which model writes the stories."""

    host: str = "127.0.0.1"
    port: int = 8000
    #: None: the embedded server.
    database_url: str | None = None
    #: Base URL of an OpenAI-compatible endpoint, or None for the built-in model.
    model_url: str | None = None
    model: str = "llama3.2"
    model_key: str | None = None
    #: Seconds that a model may be silent before its turn fails.
    model_timeout: float = 60
    #: Of the built-in model: its seed, and the seconds it takes for a word.
    seed: int = 7
    word_delay: float = 0.03
