"""What is counted of a call of a language model: its duration and its tokens, by the model's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from livingworld.observability import instruments
from livingworld.observability.metrics import Metrics

OPERATION: Final = "generate_content"
_TOKENS: Final = {"input": "input_tokens", "output": "output_tokens"}


def count_model_call(metrics: Metrics, known: Mapping[str, Any], failure: BaseException | None = None) -> None:
    """Count a call by what is stored of it."""
    model = known.get("model") or "unknown"
    error = "" if failure is None else type(failure).__name__
    metrics.record(instruments.MODEL_DURATION, known["duration_ms"] / 1000, OPERATION, model, error)
    for kind, column in _TOKENS.items():
        if (tokens := known.get(column)) is not None:
            metrics.record(instruments.MODEL_TOKENS, tokens, OPERATION, model, kind)
