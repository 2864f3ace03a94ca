"""What a bundle is of, what is in it, and how far its export or import has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from livingworld.read_only import read_only

#: Raised when lines get another form.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line: what the bundle is of, and what it was written from."""

    world_id: UUID
    #: NULL: the bundle is of the whole world.
    story_id: UUID | None
    #: Revision of the database.
    revision: str
    #: The one moment of which everything in it is, by the database's clock.
    moment: datetime
    #: Whether vectors are in it.
    vectors: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is in a bundle that is whole."""

    world_id: UUID
    #: NULL: the bundle is of the whole world.
    story_id: UUID | None
    #: Revision of the database that it was written from.
    revision: str
    #: The one moment of which everything in it is, by the clock of that database.
    moment: datetime
    #: Whether vectors are in it.
    vectors: bool
    #: How many rows of each table.
    counts: Mapping[str, int]
    #: The digest of the last line, over which every line before it has a part.
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleProgress:
    """How far an export, an import or a verification has come."""

    #: The table whose rows were the last ones.
    table: str
    #: Rows so far, of all tables.
    rows: int
    #: Bytes of these rows, about.
    bytes: int


#: Called after each few hundred rows; what it raises ends the export or import.
Report: TypeAlias = Callable[[BundleProgress], object]


def ignore(_: BundleProgress) -> None:
    """Report nothing."""


def described(header: Header, counts: Mapping[str, int], digest: str) -> Bundle:
    """Return what is in a bundle, of which every line was written or read."""
    return Bundle(
        world_id=header.world_id,
        story_id=header.story_id,
        revision=header.revision,
        moment=header.moment,
        vectors=header.vectors,
        counts=read_only(dict(counts)),
        digest=digest,
    )
