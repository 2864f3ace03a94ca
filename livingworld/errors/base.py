"""The root of the tree."""

from __future__ import annotations

import copy
import inspect
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


class LivingWorldError(Exception):
    """Something in livingworld failed."""

    def __init__(self, message: str | None = None, /, **details: object) -> None:
        text = message or inspect.cleandoc(type(self).__doc__ or "").splitlines()[0]
        if details and message is None:
            text += " " + ", ".join(f"{name}={value}" for name, value in details.items())
        super().__init__(text)
        self.__dict__.update(details)

    def __str__(self) -> str:
        return str(self.args[0])


def own_copy(error: E) -> E:
    """Return an equal error: an exception that is raised in two tasks would mix their tracebacks."""
    own = copy.copy(error)
    own.__cause__, own.__suppress_context__ = error.__cause__, True
    return own
