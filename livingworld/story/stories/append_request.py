"""The request to append a scene, and what it puts into the arrays of append_scenes_v1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from livingworld.inputs import canonical_json
from livingworld.postgres.idempotency import request_hash
from livingworld.story.characters.cast import cast_rows
from livingworld.story.stories.new_scene import NewScene


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """One scene to append."""

    story_id: UUID
    scene: NewScene
    branch_number: int | None
    #: The head that the caller decided on: a scene number, 0 before the first scene; None: any head.
    expected_head: int | None
    request_key: str | None
    #: Whether the answer waits for the disk.
    durable: bool = True

    @property
    def repeatable(self) -> bool:
        """Whether a repetition finds the stored scene."""
        return self.request_key is not None

    @property
    def characters(self) -> int:
        """About how many characters of text it contains."""
        return len(self.scene.content) + len(self.scene.raw_response or "")

    def request_hash(self) -> bytes | None:
        """Return the digest of the arguments that a repetition must repeat; the expected head is none of them."""
        if self.request_key is None:
            return None
        scene = self.scene
        cast = [[str(each.character), each.role, each.importance, each.card] for each in scene.members]
        return request_hash(
            [
                self.branch_number,
                scene.content,
                scene.choices,
                cast,
                scene.chosen_choice,
                scene.location,
                scene.story_time,
                scene.metadata,
                scene.raw_response,
            ]
        )

    def values(self) -> tuple[Any, ...]:
        """Return what this request puts into each of the function's arrays, in their order."""
        scene = self.scene
        return (
            self.story_id,
            self.branch_number,
            self.expected_head,
            scene.content,
            scene.chosen_choice,
            scene.location,
            scene.story_time,
            canonical_json(scene.metadata) if scene.metadata else None,
            scene.raw_response,
            text_array(scene.choices) if scene.choices else None,
            canonical_json(cast_rows(scene.members)) if scene.cast else None,
            self.request_key,
            self.request_hash(),
        )


def text_array(texts: Iterable[str]) -> str:
    """Return texts as PostgreSQL writes an array of them; it reads this in a fifth of the time that JSON takes."""
    joined = "\0".join(texts)  # which no text holds
    return '{"' + joined.replace("\\", r"\\").replace('"', r"\"").replace("\0", '","') + '"}'
