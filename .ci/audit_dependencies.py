# ruff: noqa: INP001 - a script, in a folder of scripts
"""Compare the pinned dependencies with a list of advisories, without a network: a step of a release.

    python .ci/audit_dependencies.py all.zip

The list is the export of https://osv.dev for PyPI, `all.zip`, or a folder with its JSON files. Exit code 1 and a line
for each advisory that affects a pin of constraints.txt; exit code 2 when the list has no advisory at all.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PINS: Final = Path(__file__).parents[1] / "constraints.txt"
_PIN: Final = re.compile(r"^([\w.-]+)==([\w.+!-]+)", re.MULTILINE)


def advisories(source: Path) -> Iterator[Mapping[str, Any]]:
    """Give the advisories of a zip file or a folder; those that were withdrawn are left out."""
    if source.is_dir():
        texts = (path.read_text(encoding="utf-8") for path in source.glob("*.json"))
    else:
        archive = zipfile.ZipFile(source)
        texts = (archive.read(name).decode() for name in archive.namelist() if name.endswith(".json"))
    yield from (each for each in map(json.loads, texts) if "withdrawn" not in each)


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Return whether a version is in the list or in a range of what an advisory affects."""
    if version in affected.get("versions", ()):
        return True
    ranges = [each["events"] for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM"]
    return any(_is_within(Version(version), events) for events in ranges)


def _is_within(version: Version, events: list[Mapping[str, str]]) -> bool:
    inside = False
    for event in sorted(events, key=lambda event: _order(next(iter(event.values())))):
        ((kind, text),) = event.items()
        bound = _order(text)
        if kind == "introduced" and version >= bound:
            inside = True
        elif (kind == "fixed" and version >= bound) or (kind == "last_affected" and version > bound):
            inside = False
    return inside


def _order(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")  # what cannot be compared counts from the beginning


def main(source: Path) -> int:
    """Print what affects a pin, and return the exit code."""
    by_name = defaultdict(list)
    for advisory in advisories(source):
        for affected in advisory.get("affected", ()):
            if affected.get("package", {}).get("ecosystem") == "PyPI":
                by_name[canonicalize_name(affected["package"]["name"])].append((advisory, affected))
    pins = _PIN.findall(PINS.read_text(encoding="utf-8"))
    found = {
        f"{name}=={version}: {advisory['id']} {advisory.get('summary', '')}".rstrip()
        for name, version in pins
        for advisory, affected in by_name.get(canonicalize_name(name), ())
        if is_affected(version, affected)
    }
    counted = f"{len(pins)} pins, {len(by_name)} packages with advisories, {len(found)} found"
    sys.stdout.write("\n".join([*sorted(found), counted, ""]))
    return 1 if found else 0 if by_name else 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
