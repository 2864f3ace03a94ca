"""Records of scripts, made of the rows that hold them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from livingworld.models.scripts.records import ScriptExecution, ScriptHead, ScriptUsage, ScriptVersion


def make_version(row: Row[Any]) -> ScriptVersion:
    """Return the record of a row of script_versions."""
    return ScriptVersion(
        name=row.name,
        version=row.version,
        kind=row.kind,
        body=row.body,
        digest=row.digest,
        state=row.state,
        validated_at=row.validated_at,
    )


def make_head(row: Row[Any]) -> ScriptHead:
    """Return the record of a row of scripts with the digest of its newest version."""
    return ScriptHead(
        name=row.name,
        last_version=row.last_version,
        last_digest=row.digest,
        active_version=row.active_version,
        activation=row.activation,
        activated_at=row.activated_at,
    )


def make_execution(row: Row[Any]) -> ScriptExecution:
    """Return the record of a row of script_executions."""
    return ScriptExecution(host=row.host, pid=row.pid, process_id=UUID(int=row.process_id.int), since=row.since)


def make_usage(row: Row[Any], executions: tuple[ScriptExecution, ...]) -> ScriptUsage:
    """Return the record of a version, whose number is `number`, and of the processes that run it."""
    return ScriptUsage(
        version=row.number,
        kind=row.kind,
        digest=row.digest,
        state=row.state,
        validated_at=row.validated_at,
        retired_at=row.retired_at,
        active_since=row.activated_at if row.active_version == row.number else None,
        executions=executions,
    )
