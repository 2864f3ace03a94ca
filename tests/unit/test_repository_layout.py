"""What must be true of the checkout and of the wheel that is built from it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest
import yaml

pytestmark = pytest.mark.xdist_group("the wheel")  # what they share is made once

ROOT: Final = Path(__file__).parents[2]
NOT_OURS: Final = re.compile(r"^(\.git|\.?venv.*|\..*_cache|\.hypothesis|__pycache__|build|dist|site|.*\.egg-info)$")
REGISTRY_HOST: Final = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|debian\.org|crates\.io")
MACHINE_PATH: Final = re.compile(r"(?<![\w.])/(?:work|farm|root|tmp|Users)/")
LINK: Final = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
MOST_LINES_OF_A_FILE: Final = 300
MOST_LINES_OF_A_FUNCTION: Final = 30
#: A call here is one line that names each of its parameters twice.
GENERATED: Final = "livingworld/sync/generated/"


def files_of(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if NOT_OURS.match(path.name):
            continue
        if path.is_dir():
            yield from files_of(path)
        else:
            yield path


def texts() -> Iterator[tuple[str, str]]:
    for path in files_of(ROOT):
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace")


def living_code() -> Iterator[tuple[str, str]]:
    """The code that goes on changing: a migration is written once, in one piece, and never grows."""
    for name, text in texts():
        if name.endswith((".py", ".sql")) and not name.startswith("alembic/versions/"):
            yield name, text


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_folder_alembic_does_not_hide_the_package() -> None:
    look = [sys.executable, "-c", "import alembic.command; print(alembic.__file__)"]
    found = subprocess.run(look, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    assert (ROOT / "alembic") not in Path(found).parents


def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    package = {str(path.relative_to(ROOT)) for path in files_of(ROOT / "livingworld")}
    kinds = {Path(name).suffix for name in package}

    assert {".py", ".sql", ".json", ".typed"} <= kinds, "the package has lost its types, statements or demo story"
    assert package <= set(ZipFile(wheel).namelist())


def test_the_wheel_carries_the_migrations(wheel: Path) -> None:
    ours = {str(path.relative_to(ROOT / "alembic")) for path in files_of(ROOT / "alembic")}
    prefix = "livingworld/migrations/"
    carried = {name.removeprefix(prefix) for name in ZipFile(wheel).namelist() if name.startswith(prefix)}

    assert {"env.py", "script.py.mako"} < ours
    assert any(name.startswith("versions/") for name in ours)
    assert carried == ours - {"render_sql.py"}, "what writes the text of a migration is for developers"


def test_the_wheel_carries_nothing_but_the_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in ZipFile(wheel).namelist()}

    # The second one is where the command begins: it answers to Ctrl-C before the package is imported.
    assert {name.split("-")[0] for name in tops} == {"livingworld", "livingworld_command.py"}
    assert not [name for name in ZipFile(wheel).namelist() if "__pycache__" in name]


def test_an_installed_wheel_finds_its_own_migrations(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path)  # a pure wheel is its own installed form
    look = "from livingworld.postgres.migrations import script_location; print(script_location())"
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.strip()

    assert Path(found).resolve() == (tmp_path / "livingworld" / "migrations").resolve()


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in texts()
        for pattern in (REGISTRY_HOST, MACHINE_PATH)
        for match in pattern.finditer(text)
    ]

    assert not found


def test_every_relative_link_leads_to_a_file() -> None:
    broken = [
        f"{name}: {target}"
        for name, text in texts()
        if name.endswith(".md")
        for target in LINK.findall(text)
        if not (ROOT / name).parent.joinpath(target).exists()
    ]

    assert not broken


def test_every_file_that_a_page_names_is_there() -> None:
    named = {
        (name, path)
        for name, text in texts()
        if name.startswith("docs/")
        for path in re.findall(r"`((?:[a-z_]+/)+\w+\.(?:py|sql))`", text)
    }

    assert len(named) > 100
    places = (ROOT, ROOT / "livingworld", ROOT / "tests")
    assert [f"{name}: {path}" for name, path in named if not any((place / path).is_file() for place in places)] == []


def test_files_and_functions_stay_small() -> None:
    long_files = [name for name, text in living_code() if text.count("\n") > MOST_LINES_OF_A_FILE]
    long_functions = [
        f"{name}:{node.lineno} {node.name}"
        for name, text in living_code()
        if name.endswith(".py") and not name.startswith(GENERATED)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and lines_without_docstring(node) > MOST_LINES_OF_A_FUNCTION
    ]

    assert not long_files
    assert not long_functions


def test_a_commit_and_ci_run_the_same_checks() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repository["hooks"]
    ci = ROOT / ".ci" / "run"

    assert hook["entry"] == "make check"
    assert "make check" in ci.read_text()
    assert ci.stat().st_mode & 0o111
