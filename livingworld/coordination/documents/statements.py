"""The statements of documents: each write is one, which changes the document and keeps the new version.

A deleted document is a row whose value is SQL's NULL: the reads pass it over, and the writes that make a missing
document give it a value again. The statements are compiled once, each as one that publishes what it wrote and as one
that does not. Their parameters are world_id, key and what their docstrings name; a value is its JSON text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, wraps
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Numeric,
    Select,
    Text,
    Update,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, array
from sqlalchemy.dialects.postgresql import insert as upsert

from livingworld.coordination.documents.tables import document_versions, documents
from livingworld.live.kinds import LiveKind
from livingworld.postgres.compiled_text import CompiledText

#: Returns the text of a statement that publishes what it wrote, or of one that does not.
Write = Callable[[bool], CompiledText]

_STORED: Final = ("world_id", "key", "version", "value")
_LOWEST, _HIGHEST = Decimal(-(2**63)), Decimal(2**63 - 1)
_WORLD_ID: Final[BindParameter[UUID]] = bindparam("world_id", type_=Uuid())
_KEY: Final = bindparam("key", type_=Text())
_MINE: Final = (documents.c.world_id == _WORLD_ID, documents.c.key == _KEY)

FIND: Final = """
    SELECT key, value::text AS json, version, created_at, updated_at
    FROM livingworld.documents WHERE world_id = $1 AND key = $2 AND value IS NOT NULL
"""
FIND_NEWER: Final = f"{FIND} AND version > $3"
AT_VERSION: Final = """
    SELECT v.key, v.value::text AS json, v.version, d.created_at, v.created_at AS updated_at
    FROM livingworld.document_versions AS v
    JOIN livingworld.documents AS d ON d.world_id = $1 AND d.key = v.key
    WHERE v.world_id = $1 AND v.key = $2 AND v.version = $3 AND v.value IS NOT NULL
"""


def _write(make: Callable[[], Insert | Update]) -> Write:
    """Return the compiled statement of a write."""

    @cache
    @wraps(make)
    def compiled(publishing: bool) -> CompiledText:  # noqa: FBT001 - a key of the cache
        statement = _keeping(make())
        return CompiledText(_publishing(statement) if publishing else statement)

    return compiled


@_write
def create() -> Insert:
    """Make a document of `value`, or nothing when there is one; returns the new one."""
    return _or_change(_new(_json("value")), _json("value"), documents.c.value.is_(null()))


@_write
def put() -> Insert:
    """Give a document a new `value`, also one that is missing; returns the new version."""
    new = _new(_json("value"))
    return new.on_conflict_do_update(index_elements=["world_id", "key"], set_=_next_of(new, _json("value")))


@_write
def replace_version() -> Update:
    """Give a document a new `value` where it has the `expected` version; returns the new version."""
    return _changed(_json("value"), _is_there(), _has_expected_version())


@_write
def delete() -> Update:
    """Delete a document; returns nothing when it is missing."""
    return _changed(null(), _is_there())


@_write
def delete_version() -> Update:
    """Delete a document where it has the `expected` version."""
    return _changed(null(), _is_there(), _has_expected_version())


@_write
def replace_value() -> Update:
    """Give a document a new `value` where it has the `expected` one; returns the new version."""
    return _changed(_json("value"), documents.c.value == _json("expected"))


@_write
def put_field() -> Update:
    """Give a `field` a new value, that of the object `value`, where it has the `expected` one; returns the version."""
    new = documents.c.value.op("||")(_json("value"))
    return _changed(new, _is_object(), _field() == _json("expected"))


@_write
def add_field() -> Insert:
    """Give a document, made of the object `value` if it is missing, a `field` that it lacks; returns the version."""
    new = _present().op("||")(_json("value"))
    return _or_change(_new(_json("value")), new, and_(_is_object(), _field().is_(None)))


@_write
def increment() -> Insert:
    """Add `by` to the number that a document is, 0 when it is missing; returns nothing when it is no number."""
    total = func.coalesce(cast(documents.c.value, Numeric), Decimal(0)) + _by()
    is_number = func.coalesce(func.jsonb_typeof(documents.c.value), "number") == "number"
    # CASE, because PostgreSQL may judge the sides of an AND in any order, and a text cannot be cast.
    countable = case((is_number, total.between(_LOWEST, _HIGHEST)), else_=false())
    return _or_change(_new(_json("value")), _number(total), countable)


@_write
def increment_field() -> Insert:
    """Add `by` to a `field`, 0 when it or the document is missing; returns nothing when it is no number."""
    total = func.coalesce(cast(_field(), Numeric), Decimal(0)) + _by()
    kind = func.coalesce(func.jsonb_typeof(_field()), "number")
    countable = case((and_(_is_object(), kind == "number"), total.between(_LOWEST, _HIGHEST)), else_=false())
    new = func.jsonb_set(_present(), array([bindparam("field", type_=Text())]), _number(total))
    return _or_change(_new(_json("value")), new, countable)


def list_documents(world_id: UUID) -> Select[Any]:
    """Select the documents of a world as they are now."""
    return select(*_shown(documents.c)).where(documents.c.world_id == world_id, _is_there())


def read_versions(world_id: UUID, key: str) -> Select[Any]:
    """Select every version of a document that has a value."""
    columns = document_versions.c
    shown = (columns.key, _as_text(columns.value), columns.version, documents.c.created_at)
    return (
        select(*shown, columns.created_at.label("updated_at"))
        .join(documents, and_(documents.c.world_id == world_id, documents.c.key == columns.key))
        .where(columns.world_id == world_id, documents.c.world_id == world_id, columns.key == key)
        .where(columns.value.is_not(null()))
    )


def _publishing(statement: Select[Any]) -> Select[Any]:
    """Return the writing statement as one that also publishes what it wrote; `followed` says that it has followers.

    The function looks with a snapshot of its own, after the document is locked.
    """
    columns = statement.selected_columns
    details = cast(func.jsonb_build_object("key", columns.key, "version", columns.version), Text)
    published = func.livingworld.publish_events_v1(
        _WORLD_ID, array([_WORLD_ID]), array([LiveKind.DOCUMENT_CHANGED.value]), array([details])
    )
    followed = select(func.count()).select_from(published.table_valued("stream_id")).scalar_subquery() > 0
    return statement.add_columns(followed.label("followed"))


def _new(value: ColumnElement[Any]) -> Insert:
    return upsert(documents).values(world_id=_WORLD_ID, key=_KEY, value=value)


def _or_change(statement: Insert, value: ColumnElement[Any], only_if: ColumnElement[bool]) -> Insert:
    """Change the document that is there already; judged on the row under its lock, as it was last written."""
    return statement.on_conflict_do_update(
        index_elements=["world_id", "key"], set_=_next_of(statement, value), where=only_if
    )


def _changed(value: ColumnElement[Any], *only_if: ColumnElement[bool]) -> Update:
    return update(documents).where(*_MINE, *only_if).values(**_next(value))


def _next(value: ColumnElement[Any]) -> Mapping[str, Any]:
    return {"value": value, "version": documents.c.version + 1, "updated_at": func.now()}


def _next_of(statement: Insert, value: ColumnElement[Any]) -> dict[str, Any]:
    """Return what becomes of the document that is there; the time is that of the row to insert, for Citus."""
    return {**_next(value), "updated_at": statement.excluded.updated_at}


def _number(total: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a number as JSON; to_jsonb is not immutable, which Citus asks of what a conflict calls."""
    return cast(cast(total, Text), JSONB)


def _keeping(write: Insert | Update) -> Select[Any]:
    """Return the statement that writes a document, keeps what it wrote as a version, and returns it."""
    changed = write.returning(documents).cte("changed")
    version = insert(document_versions).from_select(_STORED, select(*(changed.c[name] for name in _STORED)))
    return select(*_shown(changed.c)).add_cte(version.cte("kept"))


def _shown(columns: Any) -> tuple[ColumnElement[Any], ...]:  # noqa: ANN401 - columns of documents, by name
    return (columns.key, _as_text(columns.value), columns.version, columns.created_at, columns.updated_at)


def _as_text(value: ColumnElement[Any]) -> ColumnElement[str]:
    return cast(value, Text).label("json")


def _json(name: str) -> BindParameter[Any]:
    """Return a JSON value as a parameter, whose text is bound; JSON's null is the text `null`."""
    return bindparam(name, type_=JSONB(none_as_null=False))


def _by() -> BindParameter[Any]:
    return bindparam("by", type_=Numeric())


def _field() -> ColumnElement[Any]:
    """Return the field of the document, SQL's NULL when it is missing or the document is no object."""
    return _present().op("->", return_type=JSONB())(bindparam("field", type_=Text()))


def _is_object() -> ColumnElement[bool]:
    return func.jsonb_typeof(_present()) == "object"


def _present() -> ColumnElement[Any]:
    """Return the value, which is an empty object where fields are added to a deleted document."""
    return func.coalesce(documents.c.value, cast(literal_column("'{}'"), JSONB))


def _is_there() -> ColumnElement[bool]:
    return documents.c.value.is_not(null())


def _has_expected_version() -> ColumnElement[bool]:
    return documents.c.version == bindparam("expected", type_=Integer())
