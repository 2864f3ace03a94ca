"""What comes out of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from livingworld.errors import LivingWorldError
from livingworld.models.embeddings.vectors import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What became of each text of one call, in order."""

    outcomes: tuple[Vector | LivingWorldError, ...]

    @property
    def vectors(self) -> tuple[Vector | None, ...]:
        """The vector of each text, or None where there is none."""
        return tuple(None if isinstance(outcome, LivingWorldError) else outcome for outcome in self.outcomes)

    @property
    def failures(self) -> Mapping[int, LivingWorldError]:
        """Why a text has no vector, by its place."""
        return {place: outcome for place, outcome in enumerate(self.outcomes) if isinstance(outcome, LivingWorldError)}

    @property
    def embedded(self) -> tuple[int, ...]:
        """Places of the texts that have a vector."""
        return tuple(place for place, vector in enumerate(self.vectors) if vector is not None)

    @property
    def missing(self) -> tuple[int, ...]:
        """Places of the texts that have no vector."""
        return tuple(self.failures)
