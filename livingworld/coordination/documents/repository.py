"""Documents: versioned values of a whole world, tied to no story."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from livingworld.coordination.documents import reading, statements, writing
from livingworld.coordination.documents.merge import Strategies, check_changes, check_strategies
from livingworld.coordination.documents.records import ABSENT, Absent, Document, MergeResult
from livingworld.errors import DocumentNotFound, NotCountable, SerializationFailure, VersionConflict
from livingworld.inputs import (
    canonical_json,
    check_function,
    check_integer,
    check_json,
    check_label,
    check_number,
    check_text,
)
from livingworld.postgres.keyset import Page, check_limit, number_cursor
from livingworld.postgres.transactions.world_unit import WorldUnit

_LONGEST = 2**63


class DocumentRepository:
    """The documents of one world. A key is a text; a value is any JSON value, and null is one."""

    def __init__(self, unit: WorldUnit) -> None:
        self._unit = unit

    async def read(self, key: str) -> Document:
        """Return a document as one immutable snapshot, value and version of one write; raises DocumentNotFound."""
        document = await self.find(key)
        if document is None:
            raise DocumentNotFound
        return document

    async def find(self, key: str) -> Document | None:
        """Return a document, or None when there is none; one round trip, no lock."""
        return await self._unit.read(writing.find, check_key(key))

    async def list(self, *, prefix: str = "", after: str | None = None, limit: int = 50) -> Page[Document]:
        """Return a page of the documents whose keys begin with `prefix`, by key; empty when there is none."""
        begins = check_text("prefix", prefix)
        last = None if after is None else check_text("after", after)
        return await self._unit.read(reading.read_keys, begins, last, check_limit(limit))

    async def history(self, key: str, *, after: str | None = None, limit: int = 50) -> Page[Document]:
        """Return a page of every version of a document, oldest first; empty when there never was one.

        The versions of a deleted document stay. The number of a deletion is left out.
        """
        version = 0 if after is None else number_cursor(after)
        return await self._unit.read(reading.read_history, check_key(key), version, check_limit(limit))

    async def at(self, key: str, version: int) -> Document:
        """Return a document as it was at a version; raises DocumentNotFound, also for the version of a deletion."""
        number = check_integer("version", version, minimum=1)
        return await self._unit.read(writing.read_version, check_key(key), number)

    async def set(self, key: str, value: object) -> Document:
        """Store a value, whatever stands there, and return the document; of two writers the later one wins.

        One statement, which locks the document. The former value stays a version.
        """
        document = await self._write(check_key(key), statements.put, value=_json("value", value))
        if document is None:
            raise SerializationFailure
        return document

    async def compare_and_set(self, key: str, value: object, *, expected_version: int) -> Document:
        """Store a value where the document still has the expected version, 0 for none yet, and return the document.

        One statement, which locks the document. Raises VersionConflict when the document has another version, 0 where
        there is none; versions only rise, so a value that came back is another version.
        """
        check_integer("expected_version", expected_version)
        name, json = check_key(key), _json("value", value)
        if expected_version == 0:
            document = await self._write(name, statements.create, value=json)
        else:
            document = await self._write(name, statements.replace_version, value=json, expected=expected_version)
        if document is None:
            raise await self._conflict(name, expected_version)
        return document

    async def delete(self, key: str, *, expected_version: int | None = None) -> bool:
        """Delete a document, whatever its value, and return whether it was there.

        From then on there is none, but its versions stay. What makes it again gets the next version: no version comes
        twice. One statement, which locks the document. With `expected_version` it raises VersionConflict when the
        document has another version, 0 where there is none.
        """
        name = check_key(key)
        if expected_version is None:
            return await self._write(name, statements.delete) is not None
        version = check_integer("expected_version", expected_version, minimum=1)
        if await self._write(name, statements.delete_version, expected=version) is None:
            raise await self._conflict(name, version)
        return True

    async def update(
        self, key: str, function: Callable[[Any], object], *, default: object | Absent = ABSENT
    ) -> Document:
        """Store what a function makes of the value, and return the document; no other write comes between.

        Locks the document, or the name of a missing one, for which the function gets `default`. The function is pure:
        it may be called again, and when it raises, nothing is written. Raises DocumentNotFound when there is neither
        document nor default, InvalidInput when the result is no JSON.
        """
        name = check_key(key)
        check_function("function", function)
        if default is not ABSENT:
            check_json("default", default)
        return await self._unit.write(writing.update, name, function, default)

    async def merge(
        self, key: str, *, base_version: int, changes: Mapping[str, Any], strategy: Strategies
    ) -> MergeResult:
        """Change fields of a document that was read at `base_version`, and return it with every conflict.

        A field that only one side changed is taken from that side; one that both changed is a conflict, and the
        strategy decides, by field or for all: "prefer_newer" keeps what was stored after the base, "last_write_wins"
        takes the change, "prefer_higher" the greater of two numbers; "manual" keeps what is stored and leaves the
        conflict unresolved, as "prefer_higher" does for what is no number. ABSENT removes a field. Writes nothing when
        nothing changes. Locks the document. Raises DocumentNotFound, also for a base that never was, and NotMergeable
        when one of the two is no JSON object.
        """
        name, base = check_key(key), check_integer("base_version", base_version, minimum=1)
        fields, strategies = check_changes(changes), check_strategies(strategy)
        return await self._unit.write(writing.merge_changes, name, base, fields, strategies)

    async def increment(self, key: str, by: float = 1, *, field: str | None = None) -> Document:
        """Add to a number, the document's value or one of its fields, and return the document; missing counts from 0.

        One statement, exact also for decimal fractions, which locks the document. Raises NotCountable when there is
        something else than a number, or the sum does not fit into 64 bits; then nothing was written.
        """
        name, amount = check_key(key), _check_amount(by)
        term = Decimal(repr(amount))
        if field is None:
            document = await self._write(name, statements.increment, value=canonical_json(amount), by=term)
        else:
            column = check_text("field", field)
            made = canonical_json({column: amount})
            document = await self._write(name, statements.increment_field, value=made, by=term, field=column)
        if document is None:
            raise NotCountable
        return document

    async def set_if(self, key: str, value: object, *, expected: object, field: str | None = None) -> Document | None:
        """Store a value where the expected one stands, in the document or one of its fields, and return the document.

        Returns None, and writes nothing, when there is another value. `expected=ABSENT` stores where there is nothing
        yet: no document, or no such field. One statement, which locks the document. A value that was changed and came
        back counts as the expected one: where that matters, `compare_and_set`.
        """
        name = check_key(key)
        old = None if expected is ABSENT else _json("expected", expected)
        if field is not None:
            column = check_text("field", field)
            new = _json("value", {column: value})
            if old is None:
                return await self._write(name, statements.add_field, field=column, value=new)
            return await self._write(name, statements.put_field, field=column, value=new, expected=old)
        new = _json("value", value)
        if old is None:
            return await self._write(name, statements.create, value=new)
        return await self._write(name, statements.replace_value, value=new, expected=old)

    async def _conflict(self, key: str, expected: int) -> VersionConflict:
        stored = await self.find(key)
        return VersionConflict(expected=expected, actual=0 if stored is None else stored.version)

    async def _write(self, key: str, statement: statements.Write, **values: object) -> Document | None:
        return await self._unit.write_single(writing.write, key, statement, values)


def check_key(key: object) -> str:
    """Return a key unchanged if it can be one."""
    return check_label("key", key)


def _json(field: str, value: object) -> str:
    return canonical_json(check_json(field, value))


def _check_amount(by: float) -> float:
    if isinstance(by, int):
        return check_integer("by", by, minimum=-_LONGEST, maximum=_LONGEST - 1)
    return check_number("by", by, minimum=-float(_LONGEST), maximum=float(_LONGEST))
