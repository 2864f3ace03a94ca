"""The docker files, read as data: no engine is needed to see that their parts fit together."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "docker" / "compose.yaml"
DOCKERFILE: Final = ROOT / "docker" / "Dockerfile"


def services() -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return described


def instructions() -> list[list[str]]:
    """The Dockerfile's instructions as lists of words, comments and line continuations taken out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    return [line.split() for line in "\n".join(lines).replace("\\\n", " ").splitlines()]


def copied() -> list[str]:
    return [source for word, *paths in instructions() if word == "COPY" for source in paths[:-1]]


def has_compose() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode == 0


def test_the_image_is_built_from_files_that_exist_and_are_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert all((ROOT / source).exists() for source in copied())
    assert set(copied()) <= sent


def test_the_builder_gets_everything_that_the_wheel_is_made_of() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = described["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], described["project"]["readme"], "pyproject.toml"}
    needed |= {*described["project"]["license-files"]}

    assert {Path(name).parts[0] for name in needed} <= set(copied())


def test_the_image_runs_our_command_as_an_ordinary_user() -> None:
    words = {instruction[0]: instruction[1:] for instruction in instructions()}
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert words["ENTRYPOINT"] == ['["livingworld"]']
    assert "livingworld" in scripts
    assert int(words["USER"][0]) > 0


def test_the_database_has_pgvector_and_keeps_its_data() -> None:
    database = services()["database"]
    (volume,) = database["volumes"]

    assert database["image"] == "pgvector/pgvector:pg18"
    # The images since 18 refuse to start with the old path, .../data.
    assert volume == "database:/var/lib/postgresql"
    assert "database" in yaml.safe_load(COMPOSE.read_text())["volumes"]


def test_the_tables_are_made_once_the_database_answers() -> None:
    migrate = services()["migrate"]

    assert migrate["command"] == ["db", "upgrade"]
    assert migrate["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services()["database"]["healthcheck"]["test"][1] == "pg_isready"
    assert migrate["restart"] == "no"
    assert (COMPOSE.parent / migrate["build"]["context"] / migrate["build"]["dockerfile"]).resolve() == DOCKERFILE


def test_the_password_is_the_same_everywhere_and_only_this_machine_can_use_it() -> None:
    database, migrate = services()["database"], services()["migrate"]

    assert database["environment"]["POSTGRES_PASSWORD"] == migrate["environment"]["PGPASSWORD"]
    assert all(port.startswith("127.0.0.1:") for port in database["ports"])


@pytest.mark.skipif(not has_compose(), reason="the docker client here has no compose plugin")
def test_docker_compose_accepts_the_file() -> None:
    subprocess.run(["docker", "compose", "--file", str(COMPOSE), "config", "--quiet"], check=True)
