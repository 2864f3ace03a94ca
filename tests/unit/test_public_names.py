"""What is public: the names of the package, and the modules that the reference lists."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import livingworld
from livingworld.app.public_names import HOMES
from tests.acceptance.page_examples import examples

ROOT: Final = Path(__file__).parents[2]
#: The modules whose names a program may import besides those of the package itself.
DOCUMENTED: Final = {
    "livingworld.doctor",
    "livingworld.errors",
    "livingworld.observability.prometheus",
    "livingworld.sync",
    "livingworld.testing.fixtures",
    "livingworld.testing.hashing_embedder",
    "livingworld.testing.history",
    "livingworld.testing.recorded_events",
    "livingworld.testing.staged_races",
    "livingworld.tracing",
}


def imported(text: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "livingworld":
            yield from ((node.module or "", each.name) for each in node.names)


def programs_of_others() -> Iterator[tuple[str, str]]:
    for page in examples():
        if page.language == "python":
            yield page.name, page.text
    for path in (ROOT / "examples").rglob("*.py"):
        yield path.name, path.read_text(encoding="utf-8")


def test_pages_and_examples_import_public_names_only() -> None:
    private = [
        f"{where}: from {module} import {name}"
        for where, text in programs_of_others()
        for module, name in imported(text)
        if module not in DOCUMENTED and not (module == "livingworld" and name in {*livingworld.__all__, "errors"})
    ]

    assert private == []


def test_every_public_name_exists_and_the_reference_says_what_is_public() -> None:
    page = (ROOT / "docs/reference/README.md").read_text(encoding="utf-8")

    assert [name for name in livingworld.__all__ if not hasattr(livingworld, name)] == []
    for module in DOCUMENTED:
        assert import_module(module).__doc__ is not None
        assert f"`{module}`" in page
    assert "Everything else is private" in page


def test_a_name_comes_from_the_module_that_type_checkers_are_told() -> None:
    (told,) = [node for node in ast.parse(Path(livingworld.__file__).read_text()).body if isinstance(node, ast.If)]
    imports = [node for node in told.body if isinstance(node, ast.ImportFrom)]

    assert {each.name: node.module for node in imports for each in node.names} == HOMES
    assert set(livingworld.__all__) <= set(dir(livingworld))
