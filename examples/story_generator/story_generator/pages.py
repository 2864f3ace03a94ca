"""What the page is sent: plain JSON of livingworld's records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from livingworld import Branch, Character, Fact, Generation, Memory, Relationship, Scene, Story, TreeScene

Names = Mapping[str, str]


def story_page(story: Story) -> dict[str, Any]:
    """Return what a list of stories shows."""
    return {"id": str(story.id), "title": story.title, "premise": story.premise, "scenes": story.scene_count}


def scene_page(scene: Scene) -> dict[str, Any]:
    """Return a scene, with what its player asked for."""
    return {
        "number": scene.number,
        "position": scene.position,
        "text": scene.content,
        "chosen": scene.chosen_choice,
        "version": scene.version,
        "choices": [{"number": choice.number, "text": choice.content} for choice in scene.choices],
        "asked": {key: scene.metadata.get(key) for key in ("player", "choice", "instruction")},
    }


def branch_page(branch: Branch) -> dict[str, Any]:
    """Return a branch."""
    return {"number": branch.number, "name": branch.name, "head": branch.head, "length": branch.length}


def place_page(place: TreeScene) -> dict[str, Any]:
    """Return a scene's place in the tree."""
    return {
        "number": place.number,
        "parent": place.parent_number,
        "position": place.position,
        "branches": list(place.branches),
    }


def generation_page(generation: Generation, scene_number: int) -> dict[str, Any]:
    """Return an alternative of a scene; it is the shown one of this scene, or of another one, or of none."""
    return {
        "id": str(generation.id),
        "state": generation.state,
        "shown": generation.scene_number == scene_number,
        "scene": generation.scene_number,
        "text": generation.content,
        "model": generation.model,
        "error": generation.error,
    }


def world_page(
    scene: Scene | None,
    names: Names,
    facts: tuple[Fact, ...],
    relationships: tuple[Relationship, ...],
    memories: tuple[Memory, ...],
) -> dict[str, Any]:
    """Return who appears in a scene, and what is true, felt and remembered there."""
    return {
        "scene": scene.number if scene else 0,
        "position": scene.position if scene else 0,
        "cast": [member.name for member in scene.cast] if scene else [],
        "facts": [{"subject": fact.subject, "attribute": fact.attribute, "value": fact.value} for fact in facts],
        "relationships": [
            {"source": names[str(each.source)], "target": names[str(each.target)], "kind": each.kind}
            | {"trust": each.trust, "sentiment": each.sentiment, "familiarity": each.familiarity}
            for each in relationships
        ],
        "memories": [
            {"text": memory.content, "character": names.get(str(memory.character)), "scene": memory.scene_number}
            for memory in memories
        ],
    }


def names_of(characters: list[Character]) -> Names:
    """Return names by id."""
    return {str(character.id): character.name for character in characters}


def ids_in(
    relationships: tuple[Relationship, ...],
    memories: tuple[Memory, ...],
) -> set[UUID]:
    """Return the characters that a world page names by their ids."""
    found = {end for each in relationships for end in (each.source, each.target)}
    return found | {memory.character for memory in memories if memory.character is not None}
