"""The first code that a newcomer copies works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

README: Final = Path(__file__).parents[2] / "README.md"


def test_the_example_of_the_readme_runs_as_it_is_printed(database_url: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    environment = os.environ | {"LIVINGWORLD_DATABASE_URL": database_url}

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], env=environment, check=False, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    assert "Scene(" in run.stdout
