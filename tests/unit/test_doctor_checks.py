"""What every check of the doctor keeps to: one world, three sentences, and a lock for what it repairs."""

from __future__ import annotations

import re
from typing import Final

import pytest

from livingworld.doctor.doctor import CHECKS, WORLD_CHECKS
from livingworld.doctor.server_checks import ServerCheck
from livingworld.doctor.world_check import WorldCheck
from tests.support.distribution_rules import broken_rules

PARAMETER: Final = re.compile(r"(?<![:\w]):(\w+)")


@pytest.mark.parametrize("check", WORLD_CHECKS, ids=lambda check: check.name)
def test_a_check_and_its_repair_stay_in_one_world(check: WorldCheck) -> None:
    statements = [PARAMETER.sub("$1", statement) for statement in (check.find, *check.statements)]

    assert [rule for statement in statements for rule in broken_rules(statement)] == []
    assert all(":world_id" in statement for statement in (check.find, *check.statements))


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_a_check_says_what_is_wrong_what_it_means_and_what_a_repair_does(check: WorldCheck | ServerCheck) -> None:
    for sentence in (check.wrong, check.meaning, check.repair):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    repairable = check.repairable if isinstance(check, ServerCheck) else check.root is not None
    assert check.repair.startswith("Refused: ") is not repairable


def test_what_is_repaired_is_repaired_under_a_lock() -> None:
    assert all(bool(check.statements) == (check.root is not None) for check in WORLD_CHECKS)


def test_no_two_checks_have_one_name() -> None:
    assert len({check.name for check in WORLD_CHECKS}) == len(WORLD_CHECKS)
