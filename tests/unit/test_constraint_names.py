"""A violated constraint has its name also where Citus reports it from a shard of another node."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError

from livingworld import errors
from livingworld.postgres.driver_errors.failures import _BY_CONSTRAINT, name_failure

#: What Citus adds to a name: an underscore and the number of the shard. PostgreSQL cuts a name off at 63 bytes.
LONGEST = 63 - len("_1234567890")


def violation(message: str, constraint: str | None = None, sqlstate: str = "23505") -> IntegrityError:
    cause = asyncpg.PostgresError.new(
        {"C": sqlstate, "M": message, "n": constraint} if constraint else {"C": sqlstate, "M": message}
    )
    return IntegrityError("INSERT", {}, cause)


@pytest.mark.parametrize(
    ("message", "constraint", "named"),
    [
        ("x", "pk_turns", errors.RequestKeyReused),
        ("x", "pk_turns_102138", errors.RequestKeyReused),
        ('duplicate key value violates unique constraint "pk_turns_102138"', None, errors.RequestKeyReused),
        (
            'insert or update on table "stories_102140" violates foreign key constraint "fk_stories_world_id_102140"',
            None,
            errors.WorldNotFound,
        ),
        ('no character has the name: "fk_characters_known"', None, errors.CharacterNotFound),
        ('duplicate key value violates unique constraint "pk_of_another"', None, errors.DatabaseFailure),
    ],
)
def test_the_name_is_that_of_the_release(message: str, constraint: str | None, named: type[Exception]) -> None:
    assert type(name_failure(violation(message, constraint)).error) is named


def test_rows_that_another_node_refuses_in_a_copy_have_the_name_too() -> None:
    message = 'insert or update on table "stories_102702" violates foreign key constraint "fk_stories_world_id_102702"'

    assert type(name_failure(violation(message, sqlstate="XX000")).error) is errors.WorldNotFound


@pytest.mark.parametrize("sqlstate", ["22000", "XX000"])
def test_a_name_in_another_message_is_no_constraint(sqlstate: str) -> None:
    failure = name_failure(violation('the player said "pk_turns"', sqlstate=sqlstate))

    assert type(failure.error) is errors.DatabaseFailure
    assert "constraint=None" in str(failure.error)


@pytest.mark.parametrize("name", _BY_CONSTRAINT)
def test_the_number_of_a_shard_fits_behind_each_name(name: str) -> None:
    assert len(name) <= LONGEST
