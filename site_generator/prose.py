"""A docstring as Markdown."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from livingworld import errors

_ERRORS: Final = "|".join(sorted((name for name in errors.__all__), key=len, reverse=True))
_ERROR: Final = re.compile(rf"(?<![\w`.\[])({_ERRORS})(?![\w`])")


def prose(thing: Any) -> str:  # noqa: ANN401 - whatever has a docstring
    """Return what the docstring says, each error a link to its row."""
    return linked(inspect.getdoc(thing) or "")


def linked(text: str) -> str:
    """Return a text in which each error is a link to the page of errors."""
    return _ERROR.sub(r"[`\1`](errors.md)", text.replace("<", "&lt;"))
