"""A record that was made unfrozen is the record in every way."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, replace
from uuid import UUID

import pytest

from livingworld import Choice
from livingworld.frozen_records import unfrozen
from livingworld.story.stories.records import SceneCharacter

UNFROZEN = unfrozen(SceneCharacter)


def made() -> SceneCharacter:
    character = UNFROZEN(id=UUID(int=1), name="Ada", role="keeper", importance=None)
    character.__class__ = SceneCharacter
    return character


def test_it_is_the_record_in_every_way() -> None:
    record = SceneCharacter(UUID(int=1), "Ada", "keeper")

    assert type(made()) is SceneCharacter
    assert (made(), hash(made()), repr(made())) == (record, hash(record), repr(record))
    assert pickle.loads(pickle.dumps(made())) == copy.deepcopy(made()) == record  # noqa: S301 - our own
    assert replace(made(), name="Bea") == replace(record, name="Bea")


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        made().name = "Bea"  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        made().other = 1  # type: ignore[attr-defined]


@dataclass(frozen=True)
class WithoutSlots:
    number: int


@dataclass(frozen=True, slots=True)
class Checked:
    number: int

    def __post_init__(self) -> None:
        assert self.number


@pytest.mark.parametrize("record", [WithoutSlots, Checked, int])
def test_a_class_that_is_more_than_its_slots_is_refused(record: type) -> None:
    assert unfrozen(Choice)
    with pytest.raises(TypeError):
        unfrozen(record)
