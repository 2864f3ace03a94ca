"""The file of a bundle: at a path, or an open one of the caller's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOBase
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from livingworld.errors import BundleFileFailed, InvalidType

#: A path, or a binary file that is open; a file of the caller's is not closed.
BundleFile: TypeAlias = PathLike[str] | BinaryIO

#: A bundle is stories: nobody else may read it.
_FOR_ITS_OWNER: Final = 0o600


@contextmanager
def opened_to_write(file: BundleFile) -> Iterator[BinaryIO]:
    """Give a file to write to; what is at a path is replaced when the block has ended well, and else stays."""
    if not isinstance(file, PathLike):
        yield _checked(file, "write")
        return
    path = Path(file)
    part = path.with_name(f"{path.name}.part")
    with named_failures():
        opened = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FOR_ITS_OWNER), "wb")
    try:
        with opened:
            yield opened
            with named_failures():
                opened.flush()
                os.fsync(opened.fileno())
        with named_failures():
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


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
