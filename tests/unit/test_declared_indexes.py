"""An index that a module declares belongs to a table: one that names no column of it is made by nobody."""

from __future__ import annotations

import re
from pathlib import Path

import livingworld
from livingworld.schema import metadata

DECLARED = re.compile(r'\bIndex\(\s*"(\w+)"')


def test_each_declared_index_is_of_a_table() -> None:
    texts = (path.read_text() for path in Path(livingworld.__file__).parent.rglob("*.py"))
    declared = {name for text in texts for name in DECLARED.findall(text)}
    made = {index.name for table in metadata.sorted_tables for index in table.indexes}

    assert declared - made == set()
    assert len(declared) > 20
