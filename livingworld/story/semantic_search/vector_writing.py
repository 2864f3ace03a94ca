"""Which scenes and characters lack a vector, and storing what an embedder made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, TypeAlias
from uuid import UUID

from livingworld.inputs import canonical_json
from livingworld.postgres.transactions.transaction import Transaction

_MISSING_SCENES: Final = files(__package__).joinpath("sql/missing_scenes.sql").read_text()
_MISSING_CHARACTERS: Final = files(__package__).joinpath("sql/missing_characters.sql").read_text()
# What is being removed or changed is left out: the writer waits for none of our rows, and we for none of its rows.
# What has changed since its text was read is left out too: a text that was erased leaves no vector.
_KEEP_SCENES: Final = """
    WITH kept AS MATERIALIZED (
        SELECT s.story_id, s.scene_number, given.version, given.vector
        FROM unnest($3::uuid[], $4::integer[], $5::integer[], $6::text[])
            AS given (story_id, scene_number, version, vector)
        JOIN livingworld.scenes AS s
            ON s.world_id = $1 AND s.story_id = given.story_id AND s.scene_number = given.scene_number
            AND s.version = given.version
        FOR SHARE OF s SKIP LOCKED
    )
    INSERT INTO livingworld.scene_vectors AS v (world_id, story_id, scene_number, embedder, version, vector)
    SELECT $1, kept.story_id, kept.scene_number, $2, kept.version, kept.vector::real[] FROM kept
    ORDER BY kept.story_id, kept.scene_number
    ON CONFLICT ON CONSTRAINT pk_scene_vectors DO UPDATE SET version = excluded.version, vector = excluded.vector
    WHERE v.version < excluded.version
    RETURNING true
"""
_KEEP_CHARACTERS: Final = """
    WITH kept AS MATERIALIZED (
        SELECT c.character_id, given.version, given.vector
        FROM unnest($3::uuid[], $4::integer[], $5::text[]) AS given (character_id, version, vector)
        JOIN livingworld.characters AS c
            ON c.world_id = $1 AND c.character_id = given.character_id AND c.version = given.version
        FOR SHARE OF c SKIP LOCKED
    )
    INSERT INTO livingworld.character_vectors AS v (world_id, character_id, embedder, version, vector)
    SELECT $1, kept.character_id, $2, kept.version, kept.vector::real[] FROM kept ORDER BY kept.character_id
    ON CONFLICT ON CONSTRAINT pk_character_vectors DO UPDATE SET version = excluded.version, vector = excluded.vector
    WHERE v.version < excluded.version
    RETURNING true
"""

_REMOVE: Final = """
    WITH removed_scenes AS (
        DELETE FROM livingworld.scene_vectors AS v WHERE v.world_id = $1 AND v.embedder = $2 RETURNING true
    ), removed_characters AS (
        DELETE FROM livingworld.character_vectors AS v WHERE v.world_id = $1 AND v.embedder = $2 RETURNING true
    )
    SELECT (SELECT count(*) FROM removed_scenes) + (SELECT count(*) FROM removed_characters)
"""
#: Stands for a scene without a word, which no embedder takes.
_NO_TEXT: Final = "..."

#: A scene by story and number, or a character.
TextKey: TypeAlias = tuple[UUID, int] | UUID


@dataclass(frozen=True, slots=True)
class MissingText:
    """A text that has no vector, or one of an older version."""

    key: TextKey
    version: int
    text: str


async def find_missing(tx: Transaction, embedder: str, limit: int, passed: Iterable[TextKey]) -> list[MissingText]:
    """Return up to `limit` texts without a vector of their newest version, characters first; none of those passed."""
    scenes = [key for key in passed if isinstance(key, tuple)]
    characters = [key for key in passed if not isinstance(key, tuple)]
    rows = (await tx.execute_text(_MISSING_CHARACTERS, (tx.world_id, embedder, limit, characters))).all()
    found = [
        MissingText(UUID(int=row.character_id.int), row.version, f"{row.name}\n{canonical_json(row.card)}")
        for row in rows
    ]
    if len(found) < limit:
        beside = ([story_id for story_id, _ in scenes], [number for _, number in scenes])
        asked = (tx.world_id, embedder, limit - len(found), *beside)
        for row in await tx.execute_text(_MISSING_SCENES, asked):
            text = row.content if row.content.strip() else _NO_TEXT
            found.append(MissingText((UUID(int=row.story_id.int), row.scene_number), row.version, text))
    return found


def array_text(vector: Sequence[float]) -> str:
    """Return a vector in PostgreSQL's form of an array."""
    return f"{{{','.join(map(repr, vector))}}}"


async def keep_scene_vectors(
    tx: Transaction, embedder: str, texts: Sequence[MissingText], vectors: Sequence[str]
) -> int:
    """Store the vectors of scenes, each as `array_text`, and return how many are newer than what there was.

    A scene that is being removed, or has another text by now, gets none.
    """
    stories, numbers = zip(*(text.key for text in texts if isinstance(text.key, tuple)), strict=True)
    columns = ([*stories], [*numbers], [text.version for text in texts], [*vectors])
    return len((await tx.execute_text(_KEEP_SCENES, (tx.world_id, embedder, *columns))).all())


async def keep_character_vectors(
    tx: Transaction, embedder: str, texts: Sequence[MissingText], vectors: Sequence[str]
) -> int:
    """Store the vectors of characters as `keep_scene_vectors` does."""
    columns = ([text.key for text in texts], [text.version for text in texts], [*vectors])
    return len((await tx.execute_text(_KEEP_CHARACTERS, (tx.world_id, embedder, *columns))).all())


async def remove_vectors(tx: Transaction, embedder: str) -> int:
    """Remove all vectors of an embedder, and return how many there were."""
    count: int = (await tx.execute_text(_REMOVE, (tx.world_id, embedder))).scalar_one()
    return count
