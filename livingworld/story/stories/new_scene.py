"""The input of an append: a scene, checked when it is constructed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput, InvalidType
from livingworld.story.characters.cast import CastMember
from livingworld.story.characters.references import check_character

#: Maximum number of choices of one scene.
MAX_CHOICES: Final = 100
#: Maximum number of characters in the cast of one scene.
MAX_CAST: Final = 500


@dataclass(frozen=True, slots=True)
class NewScene:
    """A scene to append; raises InvalidInput, naming the field, when it could not be stored."""

    content: str
    #: What the player may do next; numbered from 1 in this order.
    choices: Sequence[str] = ()
    #: The characters that appear: names, ids or CastMembers. A name without a character makes a new one.
    cast: Sequence[str | UUID | CastMember] = ()
    #: The number of the choice of the scene before that led here.
    chosen_choice: int | None = field(default=None, kw_only=True)
    location: str | None = field(default=None, kw_only=True)
    story_time: str | None = field(default=None, kw_only=True)
    #: The application's own data, a JSON object.
    metadata: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    #: The answer of the model before it was parsed; `stories.raw_response` returns it.
    raw_response: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        inputs.check_text("content", self.content, limit=inputs.MAX_CONTENT_CHARACTERS)
        if self.chosen_choice is not None:
            inputs.check_integer("chosen_choice", self.chosen_choice, minimum=1, maximum=MAX_CHOICES)
        inputs.check_optional_text("location", self.location)
        inputs.check_optional_text("story_time", self.story_time)
        inputs.check_optional_text("raw_response", self.raw_response, limit=inputs.MAX_RAW_RESPONSE_CHARACTERS)
        object.__setattr__(self, "choices", check_choices(self.choices))
        object.__setattr__(self, "cast", check_cast(self.cast))
        object.__setattr__(self, "metadata", inputs.check_json_object("metadata", self.metadata))

    @property
    def members(self) -> tuple[CastMember, ...]:
        """The cast as it was checked: each name and each id in a CastMember."""
        return self.cast  # type: ignore[return-value]  # wrapped above


def check_choices(choices: object) -> tuple[str, ...]:
    """Return the choices as a tuple if each can be stored."""
    given = inputs.check_sequence("choices", choices, limit=MAX_CHOICES)
    return tuple(
        inputs.check_text(f"choices[{index}]", choice, limit=inputs.MAX_CHOICE_CHARACTERS, empty=False)
        for index, choice in enumerate(given)
    )


def check_cast(cast: object) -> tuple[CastMember, ...]:
    """Return the cast as CastMembers if it can be stored."""
    given = inputs.check_sequence("cast", cast, limit=MAX_CAST)
    members = tuple(_check_member(f"cast[{index}]", member) for index, member in enumerate(given))
    ids = [member.character for member in members if isinstance(member.character, UUID)]
    if len(set(ids)) < len(ids):
        raise InvalidInput("cast", "names a character twice")
    return members


def _check_member(field_name: str, member: object) -> CastMember:
    if isinstance(member, str | UUID):
        member = CastMember(member)
    if not isinstance(member, CastMember):
        raise InvalidType(field_name, f"must be a name, a character id or a CastMember, not {type(member).__name__}")
    check_character(f"{field_name}.character", member.character)
    inputs.check_optional_label(f"{field_name}.role", member.role)
    if member.importance is not None:
        inputs.check_number(f"{field_name}.importance", member.importance, minimum=0, maximum=1)
    if member.card is None:
        return member
    return replace(member, card=inputs.check_json_object(f"{field_name}.card", member.card))
