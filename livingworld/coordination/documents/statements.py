"""The statements of documents: each write is one, which changes the document and keeps the new version."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Select,
    Text,
    Update,
    and_,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, array
from sqlalchemy.dialects.postgresql import insert as upsert

from livingworld.coordination.documents.tables import document_versions, documents
from livingworld.live.kinds import LiveKind

_STORED: Final = ("world_id", "key", "version", "value")
_LOWEST, _HIGHEST = Decimal(-(2**63)), Decimal(2**63 - 1)


def read_document(world_id: UUID, key: str) -> Select[Any]:
    """Select a document as it is now."""
    return list_documents(world_id).where(documents.c.key == key)


def list_documents(world_id: UUID) -> Select[Any]:
    """Select the documents of a world as they are now."""
    columns = documents.c
    shown = (columns.key, _json(columns.value), columns.version, columns.created_at, columns.updated_at)
    return select(*shown).where(columns.world_id == world_id)


def read_versions(world_id: UUID, key: str) -> Select[Any]:
    """Select every version of a document."""
    columns = document_versions.c
    shown = (columns.key, _json(columns.value), columns.version, documents.c.created_at)
    return (
        select(*shown, columns.created_at.label("updated_at"))
        .join(documents, and_(documents.c.world_id == columns.world_id, documents.c.key == columns.key))
        .where(columns.world_id == world_id, documents.c.world_id == world_id, columns.key == key)
    )


def create(world_id: UUID, key: str, value: object) -> Select[Any]:
    """Make a document, or nothing when there is one; returns the new one."""
    return _keeping(_new(world_id, key, value).on_conflict_do_nothing(index_elements=["world_id", "key"]))


def replace(world_id: UUID, key: str, value: object, *only_if: ColumnElement[bool]) -> Select[Any]:
    """Give a document a new value where the conditions hold; returns the new version."""
    return _keeping(_changed(world_id, key, _value(value), *only_if))


def at_version(version: int) -> ColumnElement[bool]:
    """Return the condition that the document has this version."""
    return documents.c.version == version


def holds(value: object) -> ColumnElement[bool]:
    """Return the condition that the document has this value."""
    return documents.c.value == _value(value)


def put_field(world_id: UUID, key: str, field: str, value: object, expected: object) -> Select[Any]:
    """Give a field a new value where it has the expected one; returns the new version."""
    new = documents.c.value.op("||")(_value({field: value}))
    return _keeping(_changed(world_id, key, new, _is_object(), _field(field) == _value(expected)))


def add_field(world_id: UUID, key: str, field: str, value: object) -> Select[Any]:
    """Give a document, made if it is missing, a field that it lacks; returns the new version."""
    new = documents.c.value.op("||")(_value({field: value}))
    statement = _new(world_id, key, {field: value})
    return _keeping(_or_change(statement, new, and_(_is_object(), _field(field).is_(None))))


def increment(world_id: UUID, key: str, by: float) -> Select[Any]:
    """Add to the number that a document is, 0 when it is missing; returns the new version, nothing when it is none."""
    total = cast(documents.c.value, Numeric) + _numeric(by)
    is_number = func.jsonb_typeof(documents.c.value) == "number"
    # CASE, because PostgreSQL may judge the sides of an AND in any order, and a text cannot be cast.
    countable = case((is_number, total.between(_LOWEST, _HIGHEST)), else_=false())
    return _keeping(_or_change(_new(world_id, key, by), func.to_jsonb(total), countable))


def increment_field(world_id: UUID, key: str, field: str, by: float) -> Select[Any]:
    """Add to a field, 0 when it or the document is missing; returns the new version, nothing when it is no number."""
    total = func.coalesce(cast(_field(field), Numeric), Decimal(0)) + _numeric(by)
    kind = func.coalesce(func.jsonb_typeof(_field(field)), "number")
    countable = case((and_(_is_object(), kind == "number"), total.between(_LOWEST, _HIGHEST)), else_=false())
    new = documents.c.value.op("||")(func.jsonb_build_object(cast(field, Text), total))
    return _keeping(_or_change(_new(world_id, key, {field: by}), new, countable))


def publishing(statement: Select[Any], world_id: UUID) -> Select[Any]:
    """Return the writing statement as one that also publishes what it wrote; `followed` says that it has followers.

    The function looks with a snapshot of its own, after the document is locked.
    """
    columns = statement.selected_columns
    details = cast(func.jsonb_build_object("key", columns.key, "version", columns.version), Text)
    published = func.livingworld.publish_events_v1(
        world_id, array([world_id]), array([LiveKind.DOCUMENT_CHANGED.value]), array([details])
    )
    followed = select(func.count()).select_from(published.table_valued("stream_id")).scalar_subquery() > 0
    return statement.add_columns(followed.label("followed"))


def _new(world_id: UUID, key: str, value: object) -> Insert:
    return upsert(documents).values(world_id=world_id, key=key, value=_value(value))


def _or_change(statement: Insert, value: ColumnElement[Any], only_if: ColumnElement[bool]) -> Insert:
    """Change the document that is there already; judged on the row under its lock, as it was last written."""
    return statement.on_conflict_do_update(index_elements=["world_id", "key"], set_=dict(_next(value)), where=only_if)


def _changed(world_id: UUID, key: str, value: ColumnElement[Any], *only_if: ColumnElement[bool]) -> Update:
    mine = (documents.c.world_id == world_id, documents.c.key == key)
    return update(documents).where(*mine, *only_if).values(**_next(value))


def _next(value: ColumnElement[Any]) -> Mapping[str, Any]:
    return {"value": value, "version": documents.c.version + 1, "updated_at": func.now()}


def _keeping(write: Insert | Update) -> Select[Any]:
    """Return the statement that writes a document, keeps what it wrote as a version, and returns it."""
    changed = write.returning(documents).cte("changed")
    version = insert(document_versions).from_select(_STORED, select(*(changed.c[name] for name in _STORED)))
    columns = changed.c
    shown = (columns.key, _json(columns.value), columns.version, columns.created_at, columns.updated_at)
    return select(*shown).add_cte(version.cte("kept"))


def _json(value: ColumnElement[Any]) -> ColumnElement[str]:
    return cast(value, Text).label("json")


def _value(value: object) -> ColumnElement[Any]:
    """Return a JSON value as a parameter; None is JSON's null."""
    return literal(value, JSONB(none_as_null=False))


def _numeric(number: float) -> ColumnElement[Decimal]:
    return literal(Decimal(repr(number)), Numeric)


def _field(field: str) -> ColumnElement[Any]:
    """Return a field of the document, SQL's NULL when it is missing or the document is no object."""
    return documents.c.value.op("->", return_type=JSONB())(cast(field, Text))


def _is_object() -> ColumnElement[bool]:
    return func.jsonb_typeof(documents.c.value) == "object"
