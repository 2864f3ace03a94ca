"""The file of a bundle: at a path, or an open one of the caller's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOBase
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from livingworld.bundles.part_file import part_file
from livingworld.errors import BundleFileFailed, InvalidType

#: A path, or a binary file that is open; a file of the caller's is not closed.
BundleFile: TypeAlias = PathLike[str] | BinaryIO


@contextmanager
def opened_to_write(file: BundleFile) -> Iterator[BinaryIO]:
    """Give a file to write to; what is at a path is replaced when the block has ended well, and else stays."""
    if not isinstance(file, PathLike):
        yield _checked(file, "write")
        return
    path = Path(file)
    with ExitStack() as stack:
        with named_failures():
            number, part = stack.enter_context(part_file(path))
        try:
            with os.fdopen(number, "wb") as opened:
                yield opened
                with named_failures():
                    opened.flush()
                    os.fsync(opened.fileno())
            with named_failures():
                part.replace(path)
                _sync(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _sync(folder: Path) -> None:
    """Have the names in a folder survive a loss of power, where a folder can be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def opened_to_read(file: BundleFile) -> Iterator[BinaryIO]:
    """Give a file to read from its begin."""
    if not isinstance(file, PathLike):
        yield _checked(file, "readline")
        return
    with ExitStack() as stack:
        with named_failures():
            opened = stack.enter_context(Path(file).open("rb"))
        yield opened


@contextmanager
def named_failures() -> Iterator[None]:
    """Name a failure of the operating system: for the database an OSError is a lost connection."""
    reason = None
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except ValueError:  # it holds what no name of a file can hold
        reason = "no such name can be"
    if reason is not None:
        raise BundleFileFailed(reason=reason)


def _checked(file: object, method: str) -> Any:  # noqa: ANN401 - anything may be passed
    field = "file"
    if not callable(getattr(file, method, None)) or isinstance(file, TextIOBase):
        raise InvalidType(field, "is no pathlib.Path and no open binary file")
    return file
