"""What may become a training sample: checked before any SQL, and held as the text that is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from livingworld.errors import InvalidInput, InvalidType
from livingworld.identifiers import new_id
from livingworld.inputs import canonical_json, check_json, check_json_object, check_label, check_uuid
from livingworld.models.ai_models.records import AIModel, NewSample


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample that can be stored."""

    id: UUID
    #: As one JSON object; what it takes of memory.
    text: str
    #: Which model answered, or None.
    model: AIModel | None

    def given_back(self) -> NewSample:
        """Return the sample with its id: stored after all, it is not stored twice when it is sent again."""
        fields = json.loads(self.text)
        kept = {name: fields[name] for name in ("role", "input", "output", "metadata")}
        return NewSample(**kept, model=self.model, id=self.id)


def prepare(field: str, sample: object) -> PreparedSample:
    """Return a sample as it is sent; raises InvalidInput, naming what of it cannot be stored."""
    if not isinstance(sample, NewSample):
        raise InvalidType(field, f"must be a NewSample, not {type(sample).__name__}")
    role = check_label(f"{field}.role", sample.role)
    sample_id = UUID(int=new_id().int) if sample.id is None else check_uuid(f"{field}.id", sample.id)
    fields = {
        "id": str(sample_id),
        "role": role,
        "model": _model(f"{field}.model", sample.model, role),
        "input": check_json(f"{field}.input", sample.input),
        "output": check_json(f"{field}.output", sample.output),
        "metadata": check_json_object(f"{field}.metadata", sample.metadata),
    }
    return PreparedSample(sample_id, canonical_json(fields), sample.model)


def _model(field: str, model: object, role: str) -> str | None:
    if model is None:
        return None
    if not isinstance(model, AIModel):
        raise InvalidType(field, f"must be an AIModel or None, not {type(model).__name__}")
    if model.role != role:
        raise InvalidInput(field, "has another role than the sample")
    return str(model.id)
