"""Chains, cycles, waits out of order and the names of statements are found without a database."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from asyncpg import DeadlockDetectedError

from livingworld import LockSession, WaitedLock
from livingworld.contention.chains import behind, cycles, roots
from livingworld.contention.locked_rows import kind_of
from livingworld.contention.monitor import holder_of
from livingworld.contention.order_violations import out_of_order
from livingworld.postgres.announcement import announced, announcement
from livingworld.postgres.driver_errors.deadlocks import deadlock_error
from livingworld.postgres.statement_names import statement_name
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.schema import metadata

WORLD = UUID(int=1)
#: Tables of which no lock of the declared order covers the rows: who waits for one waits for an insert of an equal row.
COVERED_BY_NONE = {
    "embedding_cache",
    "memory_embedding_jobs",
    "memory_vectors",
    "request_keys",
    "revisions",
    "script_activations",
    "script_executions",
    "worlds",
}


def test_chains_begin_with_who_waits_for_nobody() -> None:
    blockers = {2: (1,), 3: (2,), 4: (1, 9), 6: (5,), 7: ()}

    assert roots(blockers) == [1, 5, 9]
    assert behind(blockers, 1) == {2, 3, 4}
    assert cycles(blockers) == []


def test_a_cycle_is_found_whatever_waits_behind_it() -> None:
    blockers = {1: (2,), 2: (3,), 3: (1,), 4: (1,), 6: (7,), 7: (6,), 8: (8, 0)}

    assert cycles(blockers) == [(1, 2, 3), (6, 7), (8,)]
    assert roots(blockers) == [0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SELECT r FROM livingworld.append_scenes_v1($1, $2)", "SELECT append_scenes_v1"),
        ("SELECT pg_advisory_xact_lock($1)", "SELECT pg_advisory_xact_lock"),
        ("-- why\n update livingworld.stories SET title = 'The lantern'", "UPDATE stories"),
        ("SELECT 'The lantern' FROM mine", "SELECT"),
        ("DELETE FROM livingworld.facts USING livingworld.facts", "DELETE facts"),
        ("", None),
    ],
)
def test_the_name_of_a_statement_has_no_value_in_it(text: str, name: str | None) -> None:
    assert statement_name(text) == name


def test_what_a_transaction_announces_fits_into_a_name_and_is_read_back() -> None:
    for kind in LockKind:
        name = f"{'x' * 14} {announcement(WORLD, (kind, 'key'))['announcement']}"
        assert len(name) <= 63
        found = announced(name)
        assert found is not None
        assert (found.world_id, found.kind) == (WORLD, kind)
    assert (announcement(None, None), announcement(WORLD, None)) == ({}, {"announcement": str(WORLD)})
    assert announced("livingworld") is announced("psql 1 story") is None


def test_a_deadlock_names_the_statements_that_are_known() -> None:
    exception = DeadlockDetectedError("deadlock detected")
    exception.detail = (
        "Process 7 waits for ShareLock on transaction 99; blocked by process 8.\n"
        "Process 8 waits for ShareLock on transaction 98; blocked by process 9.\n"
        "Process 9 waits for ExclusiveLock on tuple (0,1) of relation 1 of database 5; blocked by process 7."
    )
    exception.context = (
        'SQL statement "..." PL/pgSQL function livingworld.lock_stories_v1(uuid) line 24 at SQL statement'
    )

    error = deadlock_error(exception, "SELECT livingworld.append_scenes_v1($1)", {8: "UPDATE stories", 9: None})

    assert error.statement == "SELECT append_scenes_v1 lock_stories_v1"
    assert error.others == ("UPDATE stories", "process 9")


@pytest.mark.parametrize("table", sorted(table.name for table in metadata.tables.values()))
def test_every_table_has_its_kind_or_is_named_as_one_without(table: str) -> None:
    assert (kind_of(table) is None) == (table in COVERED_BY_NONE), "add it to KIND_OF_TABLE in locked_rows.py, or here"


def session(pid: int, kind: LockKind, story: int, *blocked_by: int) -> LockSession:
    lock = WaitedLock(
        kind=kind.name.lower(),
        type="transactionid",
        mode="ShareLock",
        table="stories" if kind is LockKind.STORY else "documents",
        world_id=WORLD,
        story_id=UUID(int=story),
        key={"world_id": str(WORLD), "key": str(story)},
    )
    return LockSession(
        pid=pid,
        role=None,
        application_name="",
        client=None,
        state=None,
        statement=None,
        world_id=None,
        open_since=None,
        open_for=None,
        waits_for=lock,
        waits_since=None,
        waited=timedelta(0),
        blocked_by=blocked_by,
        tables=(),
    )


def test_a_wait_is_out_of_order_when_what_is_held_comes_later() -> None:
    backwards = session(1, LockKind.STORY, 1, 9), session(2, LockKind.DOCUMENT, 1, 1)
    forwards = session(3, LockKind.DOCUMENT, 1, 9), session(4, LockKind.STORY, 1, 3)
    within = session(5, LockKind.STORY, 1, 9), session(6, LockKind.STORY, 2, 5)
    in_order = session(7, LockKind.STORY, 2, 9), session(8, LockKind.STORY, 1, 7)

    found = out_of_order([*backwards, *forwards, *within, *in_order])

    assert [each.pid for each in found] == [1, 5]


@pytest.mark.parametrize(
    ("blocked_by", "holder"),
    [
        ({1: (2,), 2: (3,), 3: ()}, 3),
        ({1: (9,)}, None),
        ({1: (9, 2), 2: ()}, 2),
        ({1: (2,), 2: (1,)}, 2),
        ({1: (1, 2), 2: (3,), 3: (1,)}, 3),
        ({1: (2,), 2: (3,), 3: (2,)}, 3),
    ],
)
def test_who_holds_a_session_up_is_never_the_session_itself(
    blocked_by: dict[int, tuple[int, ...]], holder: int | None
) -> None:
    by_pid = {pid: session(pid, LockKind.STORY, pid, *ahead) for pid, ahead in blocked_by.items()}
    found = holder_of(by_pid[1], by_pid)

    assert (None if found is None else found.pid) == holder
