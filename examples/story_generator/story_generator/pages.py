"""What the page is sent: plain JSON of livingworld's records."""

from __future__ import annotations

from typing import Any

from livingworld import Branch, Generation, Scene, Story


def story_page(story: Story) -> dict[str, Any]:
    """Return what a list of stories shows."""
    return {"id": str(story.id), "title": story.title, "premise": story.premise, "scenes": story.scene_count}


def scene_page(scene: Scene) -> dict[str, Any]:
    """Return a scene."""
    return {
        "number": scene.number,
        "position": scene.position,
        "text": scene.content,
        "chosen": scene.chosen_choice,
        "version": scene.version,
        "choices": [{"number": choice.number, "text": choice.content} for choice in scene.choices],
    }


def branch_page(branch: Branch) -> dict[str, Any]:
    """Return a branch."""
    return {"number": branch.number, "name": branch.name, "head": branch.head, "length": branch.length}


def generation_page(generation: Generation) -> dict[str, Any]:
    """Return one of the answers for a scene."""
    return {
        "id": str(generation.id),
        "state": generation.state,
        "shown": generation.shown,
        "text": generation.content,
        "model": generation.model,
        "error": generation.error,
    }
