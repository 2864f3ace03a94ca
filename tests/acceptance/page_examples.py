"""The programs that README and docs print, and how each of them is run.

A block of Python or of the shell is a whole program, run as it is printed. A line before it, which the reader of the
page does not see, says otherwise:

`<!-- runs in: NAME -->`: it stands in `pages/NAME.py` or `pages/NAME.sh`, at `# the example stands here`;
`<!-- continues -->`: it stands behind the block before it, in one program with it;
`<!-- not run: REASON -->`: a shell block that no test can run.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FRAMES: Final = Path(__file__).with_name("pages")
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Languages of programs, and those of pictures.
SUFFIXES: Final = {"python": ".py", "sh": ".sh"}
PICTURES: Final = {"", "mermaid"}
_BLOCK: Final = re.compile(
    r"^(?:<!-- (?P<marker>.*?) -->\n)?^(?P<fence>```)(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_PLACE: Final = re.compile(r"^(?P<margin> *)# the example stands here\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A block of a page."""

    page: str
    line: int
    language: str
    text: str
    #: What the line before it says, or an empty text.
    marker: str

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"

    @property
    def frame(self) -> Path | None:
        """The program that it is a part of, or None when it is a whole one."""
        kind, _, name = self.marker.partition(": ")
        return FRAMES / f"{name}{SUFFIXES[self.language]}" if kind == "runs in" else None

    @property
    def continues(self) -> bool:
        """Whether it stands behind the block before it, in one program with it."""
        return self.marker == "continues"

    @property
    def is_run(self) -> bool:
        """Whether it is a program that a test runs."""
        return self.language in SUFFIXES and not self.marker.startswith("not run: ")

    @property
    def program(self) -> str:
        """What is run."""
        if self.frame is None:
            return self.text
        frame = self.frame.read_text(encoding="utf-8")
        (place,) = _PLACE.finditer(frame)
        return frame[: place.start()] + textwrap.indent(self.text, place["margin"]) + frame[place.end() :]


def examples() -> list[Example]:
    """Return every block of every page."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            line = text.count("\n", 0, block.start("fence")) + 1
            marker = block["marker"] or ""
            found.append(Example(str(page.relative_to(ROOT)), line, block["language"], block["text"], marker))
    return found


def programs() -> list[Example]:
    """Return every program that a test runs: a block, with those that continue it."""
    found: list[Example] = []
    for example in examples():
        if example.continues:
            found[-1] = replace(found[-1], text=f"{found[-1].text}\n{example.text}")
        elif example.is_run:
            found.append(example)
    return found
