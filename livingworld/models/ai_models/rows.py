"""Records of AI models, made of the rows that hold them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.models.ai_models.records import AIModel, TrainingSample
from livingworld.read_only import read_only


def make_model(row: Row[Any]) -> AIModel:
    """Return the record that a row of the table ai_models makes."""
    return AIModel(
        id=UUID(int=row.model_id.int),
        role=row.role,
        version=row.version,
        provider=row.provider,
        name=row.name,
        dimensions=row.dimensions,
        settings=read_only(row.settings),
        state=row.state,
        validated_at=row.validated_at,
        activation=row.activation,
        activated_at=row.activated_at,
        retired_at=row.retired_at,
        created_at=row.created_at,
    )


def make_sample(row: Row[Any]) -> TrainingSample:
    """Return the record that a row of the table training_samples makes."""
    return TrainingSample(
        id=UUID(int=row.sample_id.int),
        role=row.role,
        model_id=None if row.model_id is None else UUID(int=row.model_id.int),
        model_version=row.model_version,
        input=read_only(row.input),
        output=read_only(row.output),
        metadata=read_only(row.metadata),
        created_at=row.created_at,
    )
