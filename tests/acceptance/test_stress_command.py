"""`livingworld stress`: short runs, with faults, that end with a verdict."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from livingworld.testing import stress
from tests.support.command import run_command
from tests.support.every_write import WRITES

DEEDS: Final = ("deeds.py", "other_deeds.py", "carrying.py")


@pytest.mark.slow
@pytest.mark.rotates(parts=3)
@pytest.mark.parametrize("faults", [["kill"], ["cancel"], ["kill", "cancel"]], ids=" and ".join)
def test_a_short_run_with_faults_keeps_every_promise(database_url: str, faults: list[str]) -> None:
    together = ["all"] if len(faults) > 1 else []
    named = ",".join([*faults, "restart"])

    done = run_command("stress", "--seconds", "4", "--faults", named, "--json", database_url=database_url)

    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["promises_kept"], told["anomalies"]
    assert [row["fault"] for row in told["table"]] == ["none", *faults, *together]
    assert all(row["operations"] > 0 for row in told["table"])
    assert told["left_out"].keys() == {"restart"}
    assert "not started by this command" in told["left_out"]["restart"]


def test_wrong_input_is_named(database_url: str) -> None:
    for arguments, field in (
        (["--faults", "flood"], "faults"),
        (["--writers", "1"], "writers"),
        (["--processes", "0"], "processes"),
        (["--seconds", "0"], "seconds"),
    ):
        done = run_command("stress", *arguments, database_url=database_url)
        assert (done.returncode, done.stdout) == (2, "")
        assert field in done.stderr


def test_every_write_is_one_of_its_deeds() -> None:
    folder = Path(stress.__file__).parent
    sources = [(folder / name).read_text(encoding="utf-8") for name in DEEDS]
    asked = {name for text in sources for name in re.findall(r'"([a-z_]+(?:\.[a-z_]+)*)"', text)}

    assert {name.split(",")[0] for name in WRITES} - asked == set()
