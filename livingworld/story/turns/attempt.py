"""What the holder of a turn knows of its attempt: how the model was asked, what it answered, how long that took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from livingworld import inputs
from livingworld.errors import InvalidType
from livingworld.observability.metrics import Metrics
from livingworld.story.turns.model_meter import count_model_call

#: Most characters of an error that is kept.
_MAX_ERROR: Final = 1000


class Attempt:
    """The columns of a generation, as far as they are known."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._known: dict[str, Any] = {}

    @property
    def answered(self) -> bool:
        """Whether the model has answered."""
        return "raw_response" in self._known

    @property
    def raw_response(self) -> str | None:
        """What it answered, or None."""
        return self._known.get("raw_response")

    def describe(
        self,
        *,
        model: str | None,
        script_version: str | None,
        parameters: Mapping[str, Any] | None,
        prompt: str | None,
    ) -> None:
        """Keep how the model is asked, and a digest of the prompt; the duration counts from here."""
        known = {
            "model": inputs.check_optional_label("model", model),
            "script_version": inputs.check_optional_label("script_version", script_version),
            "parameters": None if parameters is None else inputs.check_json_object("parameters", parameters),
            "prompt_digest": None if prompt is None else prompt_digest(prompt),
        }
        self._known |= {name: value for name, value in known.items() if value is not None}
        self._began = time.monotonic()

    def answer(self, raw_response: str, *, input_tokens: int | None, output_tokens: int | None) -> None:
        """Keep what the model has answered, and how long it took."""
        limit = inputs.MAX_RAW_RESPONSE_CHARACTERS
        known: dict[str, Any] = {"raw_response": inputs.check_text("raw_response", raw_response, limit=limit)}
        if input_tokens is not None:
            known["input_tokens"] = inputs.check_integer("input_tokens", input_tokens)
        if output_tokens is not None:
            known["output_tokens"] = inputs.check_integer("output_tokens", output_tokens)
        self._known |= known
        self._known["duration_ms"] = self._elapsed()

    def count(self, metrics: Metrics) -> None:
        """Count the call of the model that has answered."""
        count_model_call(metrics, self._known)

    def columns(self, *, error: BaseException | str | None = None) -> dict[str, Any]:
        """Return what is known as columns of the table."""
        known = dict(self._known)
        if "prompt_digest" in known:
            known["prompt_digest"] = bytes.fromhex(known["prompt_digest"])
        if error is not None:
            known["error"] = inputs.storable_error_text(error, limit=_MAX_ERROR)
        return known

    def as_json(self) -> dict[str, Any]:
        """Return what is known as a commit takes it: without the response."""
        known = {name: value for name, value in self._known.items() if name != "raw_response"}
        known.setdefault("duration_ms", self._elapsed())
        return known

    def _elapsed(self) -> int:
        return min(round((time.monotonic() - self._began) * 1000), inputs.MAX_INTEGER)


def prompt_digest(prompt: str) -> str:
    """Return the digest by which equal prompts are found, in hexadecimal."""
    if not isinstance(prompt, str):
        raise InvalidType("prompt", f"must be text, not {type(prompt).__name__}")
    return blake2b(prompt.encode(errors="surrogatepass"), digest_size=32).hexdigest()
