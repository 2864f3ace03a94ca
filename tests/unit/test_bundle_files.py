"""The file of a bundle is whole under its name, whoever else writes to it, and survives a loss of power."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
