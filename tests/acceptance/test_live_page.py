"""The example of docs/live.md works as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "live.md"


def test_the_example_of_the_page_runs_as_it_is_printed(database_url: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    environment = os.environ | {"LIVINGWORLD_DATABASE_URL": database_url}

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], env=environment, check=False, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    assert "1 scene appended {'scene_number': 1, 'branch_number': 1}" in run.stdout
    assert "goes on after 1" in run.stdout
