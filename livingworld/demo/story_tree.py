"""A story as a tree of lines: a straight run keeps its margin, choices not taken are leaves, forks indent."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: Most characters of a text that are drawn; the terminal cuts further.
_MAX_SHOWN: Final = 160
_UNNAMED: Final = "(it goes on)"


@dataclass(frozen=True, slots=True)
class Node:
    """A scene as the tree shows it."""

    number: int
    #: Number of the scene before, or None for a beginning.
    parent: int | None
    text: str
    choices: tuple[str, ...]
    #: Number of the parent's choice that led here, from 1, or None.
    chosen: int | None


#: A finished line, or a node still to be drawn behind a margin.
_Step = str | tuple[Node, str]


def draw(nodes: Iterable[Node]) -> list[str]:
    """Return the lines of the tree; a node without a known parent is a beginning."""
    known = {node.number: node for node in nodes}
    children: dict[int | None, list[Node]] = defaultdict(list)
    for number in sorted(known):
        parent = known[number].parent
        children[parent if parent in known else None].append(known[number])
    lines: list[str] = []
    # Steps, the next one last, instead of recursion: a story may be deeper than Python's stack.
    steps = _below((), children[None], "")
    while steps:
        step = steps.pop()
        if isinstance(step, str):
            lines.append(step)
        else:
            node, margin = step
            lines.append(f"{margin}{node.number} {_shown(node.text)}")
            steps.extend(_below(node.choices, children[node.number], margin))
    return lines


def shorten(lines: Sequence[str], limit: int) -> list[str]:
    """Return at most `limit` lines, at least 3: the first and the last ones, and how many are left out between."""
    if len(lines) <= limit:
        return list(lines)
    tail = (limit - 1) // 3
    head = limit - 1 - tail
    left_out = len(lines) - head - tail
    return [*lines[:head], f"⋮ {left_out} more lines", *lines[len(lines) - tail :]]


def _below(choices: Sequence[str], children: Sequence[Node], margin: str) -> list[_Step]:
    """Return the steps below a scene, the first one last."""
    taken = {child.chosen for child in children}
    leaves = [f"╴ {_shown(text)}" for number, text in enumerate(choices, start=1) if number not in taken]
    labels = dict(enumerate(choices, start=1))
    steps: list[_Step] = [f"{margin}├{leaf}" for leaf in leaves]
    if not children:
        if leaves:
            steps[-1] = f"{margin}╰{leaves[-1]}"
    elif len(children) == 1:
        steps += _straight(children[0], labels, margin)
    else:
        for child in children:
            steps += _fork(child, labels, margin, last=child is children[-1])
    return steps[::-1]


def _straight(child: Node, labels: Mapping[int, str], margin: str) -> list[_Step]:
    if child.chosen is None:
        return [(child, margin)]
    return [f"{margin}╰▶ {_label(child, labels)}", (child, margin)]


def _fork(child: Node, labels: Mapping[int, str], margin: str, *, last: bool) -> list[_Step]:
    corner, rail = ("╰", " ") if last else ("├", "│")
    return [f"{margin}{corner}▶ {_label(child, labels)}", (child, f"{margin}{rail}  ")]


def _label(child: Node, labels: Mapping[int, str]) -> str:
    return _shown(labels.get(child.chosen or 0, _UNNAMED))


def _shown(text: str) -> str:
    """Return text as one short line without control characters: a story must not control the terminal."""
    line = " ".join(text[: 4 * _MAX_SHOWN].split())
    line = "".join(character for character in line if unicodedata.category(character) not in {"Cc", "Cf", "Cs"})
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"
