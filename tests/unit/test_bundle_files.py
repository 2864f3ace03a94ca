"""The file of a bundle is whole under its name, whoever else writes to it, and survives a loss of power."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import pytest

from livingworld.bundles import part_file
from livingworld.bundles.files import opened_to_write


def test_of_two_that_write_to_one_path_each_has_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "saltmarsh.jsonl"
    with opened_to_write(path) as first:
        with opened_to_write(path) as second:
            first.write(b"first")
            second.write(b"the second")
        assert path.read_bytes() == b"the second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_is_synced_after_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "saltmarsh.jsonl", list[tuple[int, bool]]()
    sync = os.fsync

    def noting(number: int) -> None:
        synced.append((os.fstat(number).st_ino, path.exists()))
        sync(number)

    monkeypatch.setattr(os, "fsync", noting)
    with opened_to_write(path) as opened:
        opened.write(b"once")

    assert synced == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


def test_what_a_writer_left_that_was_killed_is_removed_by_the_next_one_to_its_path(tmp_path: Path) -> None:
    path = tmp_path / "saltmarsh.jsonl"
    others = {tmp_path / f"{name}.part" for name in ("saltmarsh.jsonl.old", "saltmarsh.jsonl.2.a_0b1c2d", "a_0b1c2d")}
    for left in (*others, tmp_path / "saltmarsh.jsonl.a_0b1c2d.part"):
        left.write_bytes(b"half")

    with opened_to_write(path) as opened:
        opened.write(b"whole")
    assert set(tmp_path.iterdir()) == {path, *others}


def test_a_file_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, make = tmp_path / "saltmarsh.jsonl", mkstemp

    def made_and_removed(**options: Any) -> tuple[int, str]:  # noqa: ANN401 - as mkstemp has it
        monkeypatch.setattr(part_file, "mkstemp", make)
        number, name = make(**options)
        Path(name).unlink()
        return number, name

    monkeypatch.setattr(part_file, "mkstemp", made_and_removed)
    with opened_to_write(path) as opened:
        opened.write(b"whole")
    assert path.read_bytes() == b"whole"
