"""A file of tests, run by pytest where only `livingworld[testing,embedded]` is installed."""

import os
import subprocess
import sys
from pathlib import Path

Path("conftest.py").write_text('pytest_plugins = ["livingworld.testing.fixtures"]\n', encoding="utf-8")
Path("test_story.py").write_text(
    """
# the example stands here
""",
    encoding="utf-8",
)
pytest = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-o",
    "asyncio_mode=auto",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
]
server = {"LIVINGWORLD_TEST_DSN": os.environ["LIVINGWORLD_DATABASE_URL"]}
subprocess.run([*pytest, "test_story.py"], check=True, env=os.environ | server)
