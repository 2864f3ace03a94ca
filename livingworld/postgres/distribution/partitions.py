"""Which of the largest tables of one server are cut into partitions by world, and into how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, MetaData, text

from livingworld.postgres.metadata import SCHEMA

#: Where the partitions stand: whoever may read a table of ours reads them through it, and by its policies, only.
PARTS: Final = "livingworld_parts"
_LOOK: Final = text("""
    SELECT c.relname AS name, c.relkind = 'p' AS is_partitioned, count(i.inhrelid) AS parts
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhparent = c.oid
    WHERE c.relnamespace = to_regnamespace(:schema) AND c.relname = ANY (CAST(:tables AS text[]))
        AND c.relkind IN ('r', 'p')
    GROUP BY c.relname, c.relkind ORDER BY array_position(CAST(:tables AS text[]), CAST(c.relname AS text))
""")


@dataclass(frozen=True, slots=True)
class Partitions:
    """One look at the largest tables of a database."""

    #: By table, into how many partitions it is cut; 0 where it is whole.
    parts: dict[str, int]

    @property
    def count(self) -> int:
        """Into how many the tables are cut; 0 where none is."""
        return max(self.parts.values(), default=0)

    @property
    def whole(self) -> tuple[str, ...]:
        """The tables that are not cut, in the order in which they are to be."""
        return tuple(name for name, parts in self.parts.items() if not parts)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not as it should be where some tables are cut, a line each."""
        if not self.count:
            return ()
        odd = (name for name, parts in self.parts.items() if parts not in {0, self.count})
        return (
            *(f"partitions of the table {name}" for name in self.whole),
            *(f"{self.count} partitions of the table {name}, not {self.parts[name]}" for name in odd),
        )


def look(connection: Connection, metadata: MetaData) -> Partitions:
    """Return how the largest tables are cut; those of a revision that the database is not at are passed over."""
    parameters = {"schema": SCHEMA, "tables": list(metadata.info["largest"])}
    return Partitions({row.name: row.parts for row in connection.execute(_LOOK, parameters)})
