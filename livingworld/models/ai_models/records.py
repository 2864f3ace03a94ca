"""What goes into AI models and comes out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from livingworld.errors import LivingWorldError

ModelState = Literal["staging", "active", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AIModel:
    """One version of the model of a role."""

    id: UUID
    #: What it is for: narrator, embedder, ...
    role: str
    #: From 1 in each role, without a gap.
    version: int
    provider: str
    name: str
    #: Of an embedding model's vectors, or None.
    dimensions: int | None
    settings: Mapping[str, Any]
    state: ModelState
    #: When it was last loaded and answered a probe as it should, or None.
    validated_at: datetime | None
    #: Number of the activation, in its role, by which it last became the active one; None: it never was.
    activation: int | None
    activated_at: datetime | None
    retired_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSample:
    """Something to learn from: what a model was given, and what it answered, or what it should have answered."""

    role: str
    input: Any
    output: Any
    #: Which model answered; None: a person did.
    model: AIModel | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: An id made before: the same sample sent again is stored once. None: it is made here.
    id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """What became of one sample of a batch."""

    id: UUID
    #: Why it is not stored, or None: it is, by this call or by one before.
    error: LivingWorldError | None

    @property
    def stored(self) -> bool:
        """Whether it is stored."""
        return self.error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSample:
    """A sample as it is stored."""

    id: UUID
    role: str
    #: Which model answered, and its version; None: a person did.
    model_id: UUID | None
    model_version: int | None
    input: Any
    output: Any
    metadata: Mapping[str, Any]
    created_at: datetime
