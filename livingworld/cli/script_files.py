"""The files of a folder as scripts: the name of each, and the files that are not published, with the reason."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Final

#: Most bytes of a file: as many as a script of the greatest length can take.
MAX_BYTES: Final = 4_000_000
#: Temporary files of editors, and names that begin with a dot.
_NOT_OURS: Final = re.compile(r"^(\..*|.*~|.*\.(swp|swo|swx|tmp|bak|orig|part|crdownload)|#.*#|4913)$", re.IGNORECASE)
_TEMPLATES: Final = {".j2", ".jinja2", ".jinja"}
#: Never follow the last link, never wait for a pipe; not every system has these flags.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """A file as one scan of the folder found it."""

    #: Relative to the folder, with forward slashes.
    path: str
    size: int
    digest: bytes
    body: str

    @property
    def name(self) -> str:
        """Return the script's name: the path without its last suffix."""
        return script_name(self.path)

    @property
    def kind(self) -> str:
        """Return the kind of script, which selects its validator."""
        return "jinja2" if PurePath(self.path).suffix.lower() in _TEMPLATES else "plain"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that is not published."""

    path: str
    reason: str


def script_name(path: str) -> str:
    """Return the name of the script of a file."""
    return str(PurePath(path).with_suffix("").as_posix())


def scan(folder: Path) -> tuple[dict[str, ScriptFile], list[Refusal]]:
    """Return the files of a folder and its subfolders by path, and the refused ones; blocks."""
    root = folder.resolve()
    files: dict[str, ScriptFile] = {}
    refused: list[Refusal] = []
    for path, reason in _walk(root):
        found = _read(root, path) if reason is None else Refusal(path.relative_to(root).as_posix(), reason)
        if isinstance(found, Refusal):
            refused.append(found)
        elif found is not None:
            files[found.path] = found
    doubled = _doubled(files)
    refused += doubled
    for each in doubled:
        del files[each.path]
    return files, refused


def _walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every file, and every folder that is not entered, with the reason."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield folder, f"cannot be read: {error.strerror}"
        return
    for entry in entries:
        path = folder / entry.name
        if _NOT_OURS.match(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path)
        elif entry.is_symlink() and entry.is_dir():
            yield path, "is a link to a folder, which is not entered"
        else:
            yield path, None


def _read(root: Path, path: Path) -> ScriptFile | Refusal | None:
    """Return a file, or the reason of its refusal; None when it was removed meanwhile."""
    relative = path.relative_to(root).as_posix()
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root):
            return Refusal(relative, "is a link that leads out of the folder")
        content = _content(real)
    except FileNotFoundError:
        return Refusal(relative, "is a link that leads nowhere") if path.is_symlink() else None
    except OSError as error:
        return Refusal(relative, f"cannot be read: {error.strerror or error}")
    if isinstance(content, str):
        return Refusal(relative, content)
    try:
        return ScriptFile(relative, len(content), sha256(content).digest(), content.decode())
    except UnicodeDecodeError as error:
        return Refusal(relative, f"is not UTF-8 at byte {error.start}")


def _content(path: Path) -> bytes | str:
    """Return the content of a file, or the reason why it is not read."""
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "is no ordinary file"
        content = file.read(MAX_BYTES + 1)
    return content if len(content) <= MAX_BYTES else f"has more than {MAX_BYTES} bytes"


def _doubled(files: dict[str, ScriptFile]) -> list[Refusal]:
    """Return the files whose script name is not unique."""
    by_name: dict[str, list[str]] = {}
    for path, file in files.items():
        by_name.setdefault(file.name, []).append(path)
    return [
        Refusal(path, f"would be the same script as {next(each for each in paths if each != path)}")
        for paths in by_name.values()
        if len(paths) > 1
        for path in paths
    ]
