"""The prompt: what the model is told of the story so far, and what comes back read as a scene."""

from __future__ import annotations

import re
from typing import Final

from livingworld import NewScene, TurnContext

#: Raised with every change of this file: it stands in each generation.
PROMPT_VERSION: Final = "1"
_MOST_CHOICES: Final = 4
_LONGEST_CHOICE: Final = 200
_CHOICE: Final = re.compile(r"^\s*(?:\d+[.)]|[-*])\s+(.+?)\s*$")


def make_prompt(context: TurnContext) -> str:
    """Return the prompt for the next scene."""
    story = context.story
    told = "\n\n".join(scene.content for scene in context.recent)
    people = ", ".join(character.name for character in context.cast)
    parts = [
        story.system_prompt or "You tell an interactive story in the second or third person, one scene at a time.",
        f"Title: {story.title}\nPremise: {story.premise}",
        f"In the last scene: {people}" if people else "",
        f"So far:\n{told}" if told else "The story begins.",
        f"The player chose: {context.choice.content}" if context.choice else "",
        f"The player asks: {context.instruction}" if context.instruction else "",
        "Write the next scene in at most 120 words. End with three numbered choices, each on a line of its own.",
    ]
    return "\n\n".join(part for part in parts if part)


def read_scene(answer: str) -> NewScene:
    """Return what a model has written as a scene: numbered or dashed lines at its end are the choices."""
    lines = answer.replace("\x00", "").encode(errors="replace").decode().strip().splitlines()
    choices: list[str] = []
    while lines and (not lines[-1].strip() or _CHOICE.match(lines[-1])):
        if found := _CHOICE.match(lines.pop()):
            choices.insert(0, found[1][:_LONGEST_CHOICE])
    text = "\n".join(lines).strip()
    if not text:
        raise ValueError("the model told nothing")
    return NewScene(text, choices=choices[:_MOST_CHOICES])
