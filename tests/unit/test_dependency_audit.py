"""The audit of a release finds an advisory for a pinned version, and only for that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PINNED: Final = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def told(folder: Path, *affected: dict[str, Any], **more: str) -> subprocess.CompletedProcess[str]:
    package = {"ecosystem": "PyPI", "name": "SQLAlchemy"}
    advisory = {"id": "PYSEC-1", "affected": [{"package": package, **each} for each in affected], **more}
    source = folder / "all.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(advisory))
    command = [sys.executable, str(ROOT / ".ci/audit_dependencies.py"), str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def of_range(*events: dict[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


@pytest.mark.parametrize(
    "affected",
    [
        {"versions": [PINNED["sqlalchemy"]]},
        of_range({"introduced": "0"}),
        of_range({"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "99"}),
        of_range({"introduced": "0"}, {"last_affected": PINNED["sqlalchemy"]}),
    ],
)
def test_a_pin_that_is_affected_is_found(tmp_path: Path, affected: dict[str, Any]) -> None:
    done = told(tmp_path, affected)

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(f"sqlalchemy=={PINNED['sqlalchemy']}: PYSEC-1\n")


def test_a_pin_that_is_not_affected_is_left_alone(tmp_path: Path) -> None:
    fixed = of_range({"introduced": "0"}, {"fixed": PINNED["sqlalchemy"]})

    assert told(tmp_path, {"versions": ["0.1"]}, fixed).returncode == 0
    assert told(tmp_path, of_range({"introduced": "0"}), withdrawn="2026-01-01").returncode == 2
