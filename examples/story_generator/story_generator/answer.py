"""What a model has written, read as a scene and what becomes true with it. Notes that cannot be stored are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from livingworld import NewMemory, NewScene, NewState, RelationshipChange, Subject
from livingworld.errors import InvalidInput

_MOST_CHOICES: Final = 4
_LONGEST_CHOICE: Final = 200
_LONGEST_NAME: Final = 80
_CHOICE: Final = re.compile(r"^\s*(?:\d+[.)]|[-*])\s+(.+?)\s*$")
#: A line of dashes and all below it; while an answer is streamed, also the beginning of such a line.
_NOTES: Final = re.compile(r"(?:^|\n)[ \t]*(?:---(.*)|-{1,2}\Z)", re.DOTALL)
_TRUST: Final = re.compile(r"trust\s*([+-]?\d*\.?\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """A scene and its state."""

    scene: NewScene
    state: NewState


@dataclass(slots=True)
class _Notes:
    cast: list[str] = field(default_factory=list)
    facts: dict[tuple[str | UUID, str], Any] = field(default_factory=dict)
    memories: list[NewMemory] = field(default_factory=list)
    relationships: list[RelationshipChange] = field(default_factory=list)


def shown(text: str) -> str:
    """Return the part of an answer that a reader sees: the notes below --- are not for her."""
    return _NOTES.sub("", text)


def read_answer(text: str, metadata: dict[str, Any]) -> Answer:
    """Read an answer; raises ValueError when it has no text."""
    clean = text.replace("\x00", "").encode(errors="replace").decode()
    content, choices = _read_scene(shown(clean))
    below = _NOTES.search(clean)
    notes = _read_notes(below[1] or "" if below else "")
    state = NewState(facts=notes.facts, memories=notes.memories, relationships=notes.relationships)
    return Answer(NewScene(content, choices=choices, cast=notes.cast, metadata=metadata), state)


def _read_scene(text: str) -> tuple[str, list[str]]:
    """Return the text and its choices: the numbered or dashed lines at its end."""
    lines = text.strip().splitlines()
    choices: list[str] = []
    while lines and (not lines[-1].strip() or _CHOICE.match(lines[-1])):
        if found := _CHOICE.match(lines.pop()):
            choices.insert(0, found[1][:_LONGEST_CHOICE])
    content = "\n".join(lines).strip()
    if not content:
        raise ValueError("The model wrote no text.")
    return content, choices[:_MOST_CHOICES]


def _read_notes(below: str) -> _Notes:
    notes = _Notes()
    for kind, parts in _lines(below):
        try:
            _note(notes, kind, parts)
        except InvalidInput:
            continue
    return notes


def _lines(below: str) -> Iterator[tuple[str, list[str]]]:
    """Give the kind and the parts of each note; the cast first, since the others name its members."""
    lines = [line.partition(":") for line in below.splitlines() if ":" in line]
    for kind, _, rest in sorted(lines, key=lambda line: line[0].strip().lower() != "cast"):
        separator = "," if kind.strip().lower() == "cast" else "|"
        yield kind.strip().lower(), [part.strip() for part in rest.split(separator)]


def _note(notes: _Notes, kind: str, parts: list[str]) -> None:
    match kind, parts:
        case "cast", names:
            notes.cast += [name for name in dict.fromkeys(names) if 0 < len(name) <= _LONGEST_NAME]
        case "fact", [subject, attribute, value] if subject and attribute:
            about = subject if subject in notes.cast else Subject(subject)
            NewState(facts={(about, attribute): value})
            notes.facts[about, attribute] = value
        case "memory", [name, sentence] if sentence:
            notes.memories.append(NewMemory(sentence, character=name if name in notes.cast else None))
        case "feels", [name, other, change, reason] if name in notes.cast and other in notes.cast:
            if found := _TRUST.search(change):
                change_of = RelationshipChange(name, other, trust=float(found[1]), reason=reason or None)
                notes.relationships.append(change_of)
