"""The prompt: what the model is given of the story so far, and the form in which it has to answer."""

from __future__ import annotations

from typing import Final

from livingworld import TurnContext

#: Raised with every change of this file: it stands in each generation.
PROMPT_VERSION: Final = "2"

_FORM: Final = """\
Write the next scene in at most 120 words. Then three numbered choices, each on a line of its own.
Then a line with nothing but --- and below it notes of what became true in this scene, one on a line:
cast: the names of all who appear, with commas
fact: name or thing | attribute | value
memory: name | one sentence that this character will remember
feels: name | other name | trust +0.1 | reason"""


def make_prompt(context: TurnContext) -> str:
    """Return the prompt for the next scene."""
    story = context.story
    so_far = "\n\n".join(scene.content for scene in context.recent)
    parts = [
        story.system_prompt or "You write an interactive story in the second or third person, one scene at a time.",
        f"Title: {story.title}\nPremise: {story.premise}",
        _known(context),
        f"So far:\n{so_far}" if so_far else "The story begins.",
        f"The player chose: {context.choice.content}" if context.choice else "",
        f"The player asks: {context.instruction}" if context.instruction else "",
        _FORM,
    ]
    return "\n\n".join(part for part in parts if part)


def _known(context: TurnContext) -> str:
    """Return what is true where the scene begins, one line each."""
    names = [character.name for character in context.cast]
    lines = [f"In the last scene: {', '.join(names)}"] if names else []
    lines += [f"{fact.subject}: {fact.attribute} is {fact.value}" for fact in context.facts]
    lines += [f"Remembered: {memory.content}" for memory in context.memories]
    return "\n".join(lines)
