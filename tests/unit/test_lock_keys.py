"""The key of a lock is the same in every process, and another one for whatever is not the same."""

from __future__ import annotations

import os
import subprocess
import sys
from uuid import UUID

from livingworld.postgres.locks import lock_key
from livingworld.postgres.transactions.lock_order import LockKind

WORLD = UUID("018f3c9a-7b1e-7c44-9d2b-5a6e0c1f2d3b")
ANOTHER = UUID("018f3c9a-7b1e-7c44-9d2b-5a6e0c1f2d3c")
NAMES = ["mara", "josé", "\uff4d\uff41\uff52\uff41", "", "a" * 400]


def printed_by_another_process(expression: str, seed: int) -> str:
    program = f"""
from uuid import UUID
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.locks import lock_key
print({expression})
"""
    environment = os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONUTF8": "1"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return run.stdout.strip()


def test_every_process_has_the_same_key() -> None:
    expression = f"[lock_key(LockKind.CHARACTER, UUID('{WORLD}'), name) for name in {NAMES!r}]"

    printed = {printed_by_another_process(expression, seed) for seed in (1, 2)}

    assert printed == {str([lock_key(LockKind.CHARACTER, WORLD, name) for name in NAMES])}


def test_pythons_own_hash_is_another_one_in_every_process() -> None:
    assert printed_by_another_process("hash('mara')", 1) != printed_by_another_process("hash('mara')", 2)


def test_kind_world_and_name_each_make_another_key() -> None:
    keys = {lock_key(kind, world, name) for kind in LockKind for world in (WORLD, ANOTHER) for name in NAMES}

    assert len(keys) == len(LockKind) * 2 * len(NAMES)


def test_keys_use_all_64_bits_that_postgresql_has() -> None:
    keys = [lock_key(LockKind.CHARACTER, WORLD, f"name {number}") for number in range(200_000)]

    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert min(keys) < -(2**62)
    assert max(keys) > 2**62
    assert len(set(keys)) == len(keys)
    assert len({key % 2**32 for key in keys}) < len(keys), "half as many bits meet by chance"
