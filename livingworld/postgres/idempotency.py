"""Request keys: a row for each completed request, with a digest of its arguments and its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from livingworld.errors import RequestKeyReused, SerializationFailure
from livingworld.inputs import MAX_LABEL_CHARACTERS, canonical_json, check_json, check_label
from livingworld.postgres.driver_errors.failures import RetryKind
from livingworld.postgres.locks import advisory_lock, lock_names
from livingworld.postgres.metadata import SCHEMA, metadata, world_id_column
from livingworld.postgres.removal import remove_old
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.replication import wait_for_standbys
from livingworld.postgres.transactions.transaction import Transaction

T = TypeVar("T")

request_keys = Table(
    "request_keys",
    metadata,
    world_id_column(),
    #: The story of the request, or the world itself.
    Column("scope_id", Uuid(), primary_key=True),
    Column("request_key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("result", JSONB(none_as_null=False), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["world_id"], [f"{SCHEMA}.worlds.world_id"], ondelete="CASCADE"),
    CheckConstraint(f"char_length(request_key) BETWEEN 1 AND {MAX_LABEL_CHARACTERS}", name="request_key_length"),
    CheckConstraint("octet_length(request_hash) = 32", name="request_hash_length"),
)
# What is removed when it is old.
Index("ix_request_keys_created_at", request_keys.c.world_id, request_keys.c.created_at)


def request_hash(arguments: object) -> bytes:
    """Return the digest of a request's arguments; equal for equal JSON, whatever the order of keys."""
    return blake2b(canonical_json(arguments).encode(), digest_size=32).digest()


async def run_once(tx: Transaction, key: str, digest: bytes, work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401
    """Return the stored result of an earlier request with this key, else that of `work`, stored as the last write.

    Locks the key until the transaction ends, so that an equal request waits for the result of the first. Raises
    RequestKeyReused when the earlier request had other arguments, InvalidInput when the result is not JSON.
    """
    await advisory_lock(tx, "pg_advisory_xact_lock", tx.world_id, _lock_key(tx.world_id, key))
    return await _once(tx, key, digest, work)


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A request to create something, which takes effect once."""

    request_key: str
    digest: bytes
    #: What the new row is, in the order of locks.
    kind: LockKind

    @classmethod
    def of(cls, request_key: str | None, kind: LockKind, call: str, arguments: object) -> CreateRequest | None:
        """Return the request with a key, or None without one; `call` and the arguments are what a repetition repeats.

        Raises InvalidInput.
        """
        if request_key is None:
            return None
        return cls(check_label("request_key", request_key), request_hash([call, arguments]), kind)


async def create_once(
    tx: Transaction,
    request: CreateRequest | None,
    create: Callable[[], Awaitable[T]],
    read: Callable[[Any], Awaitable[T]],
    name: Callable[[T], object],
) -> T:
    """Return what `create` makes, or read what an earlier request with the same key made, as it is now.

    `name` gives what `read` finds the record by, a JSON value. Locks the key until the transaction ends; raises
    RequestKeyReused, and what `read` raises when the record is there no more.
    """
    if request is None:
        return await create()
    await lock_names(tx, request.kind, tx.world_id, [f"request \x00{request.request_key}"])
    made: list[T] = []

    async def work() -> object:
        made.append(await create())
        return name(made[0])

    stored = await _once(tx, request.request_key, request.digest, work)
    return made[0] if made else await read(stored)


async def remove_old_keys(tx: Transaction, age: timedelta, limit: int) -> int:
    """Remove at most `limit` request keys that were used so long ago, and return how many; they can be used again."""
    return await remove_old(tx, request_keys, request_keys.c.created_at, age, limit)


async def _once(tx: Transaction, key: str, digest: bytes, work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401
    statement = select(request_keys.c.request_hash, request_keys.c.result).where(
        request_keys.c.world_id == tx.world_id,
        request_keys.c.scope_id == tx.world_id,
        request_keys.c.request_key == key,
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        result = {"result": check_json("the result of the work", await work())}
        values = {"scope_id": tx.world_id, "request_key": key, "request_hash": digest, "result": result}
        new = insert(request_keys).values(world_id=tx.world_id, **values).on_conflict_do_nothing()
        if (await tx.execute(new)).rowcount == 0:  # the lock saves work; the primary key decides
            tx.refuse(SerializationFailure(), "an equal request was stored meanwhile", RetryKind.CONFLICT)
        return result["result"]
    if row.request_hash != digest:
        raise RequestKeyReused
    await wait_for_standbys(tx)
    return row.result["result"]


def _lock_key(world_id: UUID, key: str) -> int:
    digest = blake2b(key.encode(), digest_size=8, key=world_id.bytes, person=b"request key")
    return int.from_bytes(digest.digest(), signed=True)
