"""The blocking API is generated from the asynchronous one, and has all of it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Final

import livingworld
from livingworld import sync
from livingworld.sync import generated
from livingworld.sync.mirror import Mirror
from sync_generator.names import STAYS, is_asynchronous

ROOT: Final = Path(__file__).parents[2]


def test_the_generated_modules_are_those_of_this_release() -> None:
    look = [sys.executable, "-m", "sync_generator", "--check"]
    found = subprocess.run(look, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stderr + found.stdout


def test_everything_public_that_is_awaited_has_a_blocking_twin() -> None:
    public = {name for name in livingworld.__all__ if is_asynchronous(getattr(livingworld, name))}

    assert public <= {name for name in vars(generated) if not name.startswith("_")}
    assert not public & STAYS


def test_no_blocking_call_gives_out_what_is_awaited() -> None:
    twins = list(Mirror._kinds.values())
    assert len(twins) > 40
    for twin in twins:
        for name, member in vars(twin).items():
            assert not inspect.iscoroutinefunction(member), (twin, name)


def test_a_program_imports_from_one_place_what_it_names() -> None:
    assert {"LivingWorld", "World", "TransactionScope", "Turn", "deadline"} <= set(vars(sync))
