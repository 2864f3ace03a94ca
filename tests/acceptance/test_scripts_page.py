"""The example of the page on scripts works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "scripts.md"


def test_the_example_of_the_page_on_scripts_runs_as_it_is_printed(database_url: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    environment = os.environ | {"LIVINGWORLD_DATABASE_URL": database_url}

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], env=environment, check=False, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    assert "refused in line 1" in run.stdout
    assert "v1: plan Mara / v1: tell Mara\nv2: plan Tom / v2: tell Tom\n" in run.stdout
