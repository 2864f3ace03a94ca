"""The first example of a page of the documentation works as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

DOCS: Final = Path(__file__).parents[2] / "docs"
NARRATOR: Final = """
class Narrator:
    def __init__(self, name, seed):
        self.name = name

    async def tell(self, prompt):
        return "yes" if prompt == "Say yes." else "The lamplighter."
"""
#: What an example leaves to the reader.
READERS: Final = {"ai-models.md": NARRATOR}
PRINTED: Final = {
    "live.md": ("1 scene appended {'scene_number': 1, 'branch_number': 1}", "goes on after 1"),
    "ai-models.md": ("The lamplighter. answered by version 1 {'narrator': {1: 1}}\n",),
    "scripts.md": ("refused in line 1", "v1: plan Mara / v1: tell Mara\nv2: plan Tom / v2: tell Tom\n"),
    "actions.md": ("Mara walks to the lighthouse.",),
}


@pytest.mark.parametrize("page", PRINTED)
def test_the_example_of_a_page_runs_as_it_is_printed(database_url: str, page: str) -> None:
    example, *_ = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    program = READERS.get(page, "") + example
    environment = os.environ | {"LIVINGWORLD_DATABASE_URL": database_url, "PYTHONPATH": os.pathsep.join(sys.path)}

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, check=False, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    for line in PRINTED[page]:
        assert line in run.stdout
