"""Each program in README and docs runs exactly as it is printed; those of the README for a newcomer."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from livingworld.embedded_server import find_binaries
from tests.acceptance.page_examples import FRAMES, PAGES, PICTURES, ROOT, SUFFIXES, Example, examples, programs

EXAMPLES: Final = examples()
RUN: Final = programs()
#: They run in the environment of a new user; the Python blocks of other pages run here, with a database.
OF_NEWCOMERS: Final = [each for each in RUN if each.language == "sh" or each.page == "README.md"]
OF_READERS: Final = [each for each in RUN if each not in OF_NEWCOMERS]
#: What the first example of a page prints.
PRINTED: Final = {
    "README.md": ("Scene(",),
    "docs/guides/live-events.md": ("1 scene appended {'scene_number': 1, 'branch_number': 1}", "goes on after 1"),
    "docs/guides/ai-models.md": ("The lamplighter. answered by version 1 {'narrator': {1: 1}}\n",),
    "docs/guides/scripts.md": ("refused in line 1", "v1: plan Mara / v1: tell Mara\nv2: plan Tom / v2: tell Tom\n"),
    "docs/guides/actions.md": ("Mara walks to the lighthouse.",),
}
FIRST: Final = {page: next(each for each in RUN if each.page == page) for page in PRINTED}


def printed(example: Example) -> tuple[str, ...]:
    return PRINTED[example.page] if FIRST.get(example.page) == example else ()


def test_every_block_is_run_or_says_why_not() -> None:
    fences = sum(line.startswith("```") for page in PAGES for line in page.read_text(encoding="utf-8").splitlines())
    frames = {example.frame for example in EXAMPLES} - {None}

    assert 2 * len(EXAMPLES) == fences, "a block has a form that no test reads"
    assert {example.language for example in EXAMPLES} <= SUFFIXES.keys() | PICTURES
    assert [each.name for each in EXAMPLES if each.marker.startswith("not run: ") and each.language != "sh"] == []
    assert [
        each.name
        for each in EXAMPLES
        if each.marker and not each.continues and not each.marker.startswith(("runs in: ", "not run: "))
    ] == []
    assert [
        each.name
        for each, before in zip(EXAMPLES[1:], EXAMPLES, strict=False)
        if each.continues and not continues_it(each, before)
    ] == []
    assert frames == set(FRAMES.iterdir()) - {FRAMES / "__pycache__"}


def continues_it(example: Example, before: Example) -> bool:
    """A block continues one of its page and language that is run."""
    return (example.page, example.language) == (before.page, before.language) and before.is_run


@pytest.fixture
def reader(newcomer: dict[str, str], empty_database_url: str) -> dict[str, str]:
    """Give the environment of a newcomer who has installed the package and a server that psql knows."""
    url = make_url(empty_database_url)
    address = url.translate_connect_args(username="user") | dict(url.query)
    variables = {f"PG{name.upper()}": str(value) for name, value in address.items()}
    scripts = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(find_binaries())])
    places = {"CHECKOUT": str(ROOT), "VENV": os.path.relpath(sys.prefix, ROOT), "PYTHONPATH": str(ROOT)}
    return newcomer | variables | places | {"PATH": scripts}


@pytest.mark.parametrize("example", OF_NEWCOMERS, ids=lambda example: example.name)
def test_it_runs_as_it_is_printed(reader: dict[str, str], tmp_path: Path, example: Example) -> None:
    program = written(example, tmp_path)
    python = [sys.executable, "-W", "error", str(program)]
    command = python if example.language == "python" else ["bash", "-euo", "pipefail", str(program)]

    run = subprocess.run(
        command,
        cwd=tmp_path,
        env=reader,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )

    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert [line for line in printed(example) if line not in run.stdout] == []


@pytest.mark.parametrize("example", OF_READERS, ids=lambda example: example.name)
def test_it_runs_as_it_is_printed_where_a_database_is(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    example: Example,
) -> None:
    monkeypatch.setenv("LIVINGWORLD_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(written(example, tmp_path)), run_name="__main__")

    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert [line for line in printed(example) if line not in out] == []


def written(example: Example, folder: Path) -> Path:
    """Write the program of an example into a folder."""
    program = folder / f"program{SUFFIXES[example.language]}"
    program.write_text(example.program, encoding="utf-8")
    return program
