"""A small run of the benchmarks of what is large, open or overloaded: it ends, and counts what it has stored."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def run(benchmark: str, database_url: str, *arguments: str) -> dict[str, Any]:
    """Return what a benchmark prints."""
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / benchmark),
        "--json",
        "--database-url",
        database_url,
        *arguments,
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=dict(os.environ))
    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


def test_overload_is_refused_by_name_and_loses_nothing(database_url: str) -> None:
    small = ("--rounds", "1", "--seconds", "0.5", "--tasks", "4", "--queue-limit", "16", "--deadline", "20")

    result = run("overload.py", database_url, *small)

    assert min(result["rates"]["overloaded"]) > 0
    assert set(result["refused"]["refused"]) == {"Overloaded"}
    assert result["overloaded"]["refused"] == {}
    assert result["overloaded"]["rate_ratio"]["at_least"] == 0.9


@pytest.mark.plain_server("the benchmark fills all worlds with statements of its own")
def test_reads_among_much_find_what_they_look_for(database_url: str) -> None:
    small = ("--memories", "300", "--lore", "500", "--scenes", "100", "--times", "3")

    result = run("large.py", database_url, *small)

    measured = {name for name in result if name.split()[0] in {"recall", "lore", "search", "context"}}
    assert measured == {"recall 300", "lore 500", "search 100", "context 100"}
    assert result["recall 300"]["is_cut"] is False
    assert result["context 100"]["at_most"] == 25


def test_deployments_are_measured_in_turn(database_url: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "deployments.py"), "--rounds", "2", "--times", "2"]
    ended = subprocess.run(
        [*command, f"plain={database_url}", f"again={database_url} also={database_url} prepared_statements=false"],
        check=False,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )

    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert set(result) == {"plain", "again"}
    assert {"append", "turn", "head", "context"} <= result["again"].keys()
    assert {call["ms_ratio"] for call in result["plain"].values()} == {1}


def test_a_story_that_was_put_away_comes_back_as_it_was(database_url: str) -> None:
    result = run("archive.py", database_url, "--scenes", "40")

    assert {"export", "verify", "purge", "import"} <= result.keys()
    assert result["rows"] > 40


def test_what_is_open_and_at_rest_is_counted(database_url: str) -> None:
    result = run("open_worlds.py", database_url, "--worlds", "64", "--subscriptions", "16", "--idle-seconds", "1")

    assert result["worlds"]["count"] == 64
    assert result["subscriptions"]["count"] == 16
    assert result["idle"]["at_most"] == 1


def test_curves_are_drawn_with_the_numbers_that_they_come_from(database_url: str, tmp_path: Path) -> None:
    picture = tmp_path / "growth.svg"

    result = run("growth.py", database_url, "--longest", "10", "--svg", str(picture))

    numbers = json.loads(picture.with_suffix(".json").read_text())
    assert numbers["cpu_us"] == result["cpu_us"]
    assert len(re.findall("<polyline ", picture.read_text())) == len(result["cpu_us"])
