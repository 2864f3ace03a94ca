"""Wrong input: raised before any SQL."""

from __future__ import annotations

from livingworld.errors.base import LivingWorldError


class InvalidInput(LivingWorldError, ValueError):
    """An argument cannot be stored."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        #: Name of the argument, with the place inside it: `choices[2]`.
        self.field = field
        #: Why it was refused.
        self.reason = reason
        self.args = (field, reason)

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidType(InvalidInput, TypeError):
    """An argument has a type that the field does not accept."""


class InvalidText(InvalidInput):
    """A text holds a character that PostgreSQL cannot store, is too long, or is empty where it must not be."""


class InvalidNumber(InvalidInput):
    """A number is not finite or outside the range of its field."""


class InvalidVector(InvalidNumber):
    """A vector holds a number that is not finite, or has no direction because every number is zero."""


class DimensionMismatch(InvalidVector):
    """A vector does not have the dimensions of its embedder."""

    #: Dimensions of the embedder.
    expected: int
    #: Numbers of the vector.
    actual: int

    def __init__(
        self,
        field: str = "vector",
        reason: str = "has other dimensions than its world",
        **dimensions: int,
    ) -> None:
        super().__init__(field, reason)
        self.__dict__.update(dimensions)


class InvalidJson(InvalidInput):
    """A value is not JSON, nests too deeply or is too large."""


class InvalidName(InvalidInput):
    """A name has nothing visible in it, or its canonical form is too long."""


class ScriptInvalid(InvalidInput):
    """The text of a script is not valid for its kind."""

    def __init__(self, field: str, reason: str, *, line: int | None = None) -> None:
        super().__init__(field, reason)
        #: The line of the mistake, counted from 1; None when it is unknown.
        self.line = line

    def __str__(self) -> str:
        return super().__str__() if self.line is None else f"{self.field}: line {self.line}: {self.reason}"


class InvalidCursor(InvalidInput):
    """The cursor does not come from a page of this list."""


class InvalidSettings(InvalidInput):
    """A setting has a value that cannot work."""
