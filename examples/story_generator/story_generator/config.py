"""What can be chosen on the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How to serve, where the database is, and who tells the stories."""

    host: str = "127.0.0.1"
    port: int = 8000
    #: None: the embedded server.
    database_url: str | None = None
    #: Base URL of an OpenAI-compatible endpoint, or None for the generator that is built in.
    model_url: str | None = None
    model: str = "llama3.2"
    model_key: str | None = None
    #: Of the generator that is built in: its seed, and how many seconds a word takes.
    seed: int = 7
    word_delay: float = 0.03
