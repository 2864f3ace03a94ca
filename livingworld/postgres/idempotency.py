"""Request keys: a row per request that was carried out, with a digest of its arguments and its result."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    LargeBinary,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from livingworld.errors import RequestKeyReused
from livingworld.inputs import MAX_LABEL_CHARACTERS, canonical_json
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column
from livingworld.postgres.transactions.transaction import Transaction

request_keys = Table(
    "request_keys",
    metadata,
    world_id_column(),
    #: The story the request belongs to, or the world itself.
    Column("scope_id", Uuid(), primary_key=True),
    Column("request_key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("result", JSONB(none_as_null=False), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(request_key) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="request_key_length"),
    CheckConstraint("octet_length(request_hash) = 32", name="request_hash_length"),
)

_LOCK = select(func.pg_advisory_xact_lock(bindparam("key")))


def request_hash(arguments: object) -> bytes:
    """Return the digest of a request's arguments; equal for equal JSON, whatever the order of keys."""
    return blake2b(canonical_json(arguments).encode(), digest_size=32).digest()


async def find_result(
    tx: Transaction, world_id: UUID, scope_id: UUID, key: str, digest: bytes
) -> dict[str, Any] | None:
    """Return the stored result of an earlier request with this key, or None when there was none.

    Locks the key until the transaction ends, so that an equal request waits for the answer of the first. Raises
    RequestKeyReused when the earlier request had other arguments.
    """
    lock = blake2b(key.encode(), digest_size=8, key=world_id.bytes + scope_id.bytes, person=b"request key").digest()
    await tx.execute(_LOCK, {"key": int.from_bytes(lock, signed=True)})
    statement = select(request_keys.c.request_hash, request_keys.c.result).where(
        request_keys.c.world_id == world_id, request_keys.c.scope_id == scope_id, request_keys.c.request_key == key
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return None
    if row.request_hash != digest:
        raise RequestKeyReused
    result: dict[str, Any] = row.result
    return result


async def record_result(
    tx: Transaction, world_id: UUID, scope_id: UUID, key: str, digest: bytes, result: dict[str, Any]
) -> None:
    """Store the result of a request as the last write of its transaction."""
    await tx.execute(
        insert(request_keys).values(
            world_id=world_id, scope_id=scope_id, request_key=key, request_hash=digest, result=result
        )
    )
