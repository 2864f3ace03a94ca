"""Which rows are in a bundle: those of every table, but for what a copy cannot use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table

from livingworld.bundles.records import Header
from livingworld.bundles.story_contents import in_the_story
from livingworld.schema import metadata
from livingworld.story.stories.tables import stories
from livingworld.story.worlds.tables import worlds

#: The tables that are in no bundle of a world, and why.
EXCUSED: Final = {
    "turn_waiters": "the tries of processes that wait at that moment; nobody waits in a copy",
    "script_executions": "the processes that run a version at that moment; nobody runs it in a copy",
}
#: What is made from texts by an embedder, and is made again where it is missing.
VECTORS: Final = frozenset(
    {
        *("embedding_cache", "memory_embedders", "memory_embedding_jobs", "memory_vectors"),
        *("character_vectors", "scene_vectors"),
    }
)
_WORLD: Final = "world_id"


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one table."""

    table: Table
    #: All but that of the world, which the header names.
    columns: tuple[Column[Any], ...]
    #: Returns what is true of these rows, of a world and a story.
    conditions: Callable[[UUID, UUID | None], Sequence[ColumnElement[bool]]]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


def parts(header: Header) -> list[Part]:
    """Return the parts of a bundle, each after those that its rows refer to."""
    found = _of_story() if header.story_id is not None else _of_world()
    return [part for part in found if header.vectors or part.table.name not in VECTORS]


@cache
def _of_world() -> list[Part]:
    return [Part(table, _columns(table), _in_the_world(table)) for table in _in_order() if table.name not in EXCUSED]


@cache
def _of_story() -> list[Part]:
    found = [(table, in_the_story(table)) for table in _in_order()]
    return [Part(table, _columns(table), conditions) for table, conditions in found if conditions is not None]


def _in_order() -> list[Table]:
    """Return every table after those that it refers to; first what is refused when it is there already."""
    return sorted(metadata.sorted_tables, key=lambda table: table not in {worlds, stories})


def _columns(table: Table) -> tuple[Column[Any], ...]:
    return tuple(column for column in table.columns if column.name != _WORLD and column.computed is None)


def _in_the_world(table: Table) -> Callable[[UUID, UUID | None], Sequence[ColumnElement[bool]]]:
    return lambda world_id, _: [table.c.world_id == world_id]
