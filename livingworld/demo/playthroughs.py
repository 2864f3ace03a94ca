"""Recorded play-throughs: one JSON object a line, checked to the last turn before anything is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livingworld.errors import InvalidInput
from livingworld.inputs import MAX_CONTENT_CHARACTERS, check_text
from livingworld.story.stories.new_scene import check_choices


@dataclass(frozen=True, slots=True)
class Turn:
    """One scene as it was played."""

    #: Number of the choice that was taken in the turn before, from 1; None at the start.
    chosen: int | None
    text: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Playthrough:
    """One way through a story, from its start."""

    turns: tuple[Turn, ...]


def read_playthroughs(path: Path) -> tuple[Playthrough, ...]:
    """Return every play-through of a file; raises InvalidInput with the number of the first line that is wrong."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(str(path), reason) from error
    return parse_playthroughs(content, path.name)


def parse_playthroughs(content: bytes, name: str) -> tuple[Playthrough, ...]:
    """Return every play-through of a file's content; empty lines do not count.

    Raises InvalidInput, naming `name` and the line.
    """
    # Not splitlines(): a story may hold U+2028 and the like, which end no line of JSON.
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
    playthroughs = tuple(_parse_line(line, f"{name} line {number}") for number, line in lines if line.strip())
    if not playthroughs:
        raise InvalidInput(name, "has no play-through")
    return playthroughs


def _parse_line(line: bytes, place: str) -> Playthrough:
    value = _object(_parse_json(line, place), place)
    field = f"{place}, turns"
    turns = _required(value, "turns", field)
    if not isinstance(turns, list) or not turns:
        raise InvalidInput(field, "must be a list of at least one turn")
    parsed: list[Turn] = []
    for index, turn in enumerate(turns):
        offered = parsed[-1].choices if parsed else None
        parsed.append(_parse_turn(turn, offered, f"{field}[{index}]"))
    return Playthrough(tuple(parsed))


def _parse_json(line: bytes, place: str) -> object:
    try:
        value: object = json.loads(line.decode())
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        reason = f"is not JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        reason = f"is not JSON that can be read: {error}"
    else:
        return value
    raise InvalidInput(place, reason)


def _parse_turn(value: object, offered: tuple[str, ...] | None, place: str) -> Turn:
    turn = _object(value, place)
    chosen = _required(turn, "chosen", f"{place}.chosen")
    _check_chosen(chosen, offered, f"{place}.chosen")
    text, choices = _required(turn, "text", f"{place}.text"), _required(turn, "choices", f"{place}.choices")
    try:
        return Turn(chosen, check_text("text", text, limit=MAX_CONTENT_CHARACTERS), check_choices(choices))
    except InvalidInput as error:
        problem = error
    raise InvalidInput(f"{place}.{problem.field}", problem.reason)


def _check_chosen(chosen: object, offered: tuple[str, ...] | None, place: str) -> None:
    if not offered:
        if chosen is not None:
            before = "there is no turn before it" if offered is None else "the turn before offers no choice"
            raise InvalidInput(place, f"must be null: {before}")
    elif not isinstance(chosen, int) or isinstance(chosen, bool):
        raise InvalidInput(place, f"must be the number of a choice, not {_kind(chosen)}")
    elif not 1 <= chosen <= len(offered):
        raise InvalidInput(place, f"is {chosen}, but the turn before offers choices 1 to {len(offered)}")


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(place, f"must be a JSON object, not {_kind(value)}")
    return value


def _required(value: dict[str, Any], key: str, field: str) -> Any:  # noqa: ANN401 - not checked yet
    if key not in value:
        raise InvalidInput(field, "is missing")
    return value[key]


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a fraction" if isinstance(value, float) else "a number")
