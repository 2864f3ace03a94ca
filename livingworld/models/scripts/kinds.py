"""Validators: what makes of a body the object that runs, or says in which line it is wrong."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

from livingworld.errors import InvalidInput, InvalidType, ScriptInvalid
from livingworld.inputs import MAX_CONTENT_CHARACTERS, check_label, check_text
from livingworld.models.scripts.template_limits import LIMITS, TemplateLimits
from livingworld.models.scripts.templates import compile_template

#: Makes of a body what runs; anything it raises says that the body is wrong, with a `lineno` where it has one.
Validator = Callable[[str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedScript:
    """A text that was validated and can be published; `world.scripts.check` makes it."""

    name: str
    kind: str
    body: str = field(repr=False)
    compiled: Any = field(repr=False, compare=False)

    @property
    def digest(self) -> str:
        """Return SHA-256 of kind and body: equal texts of two kinds are two versions."""
        return digest_of(self.kind, self.body)


class ScriptKinds:
    """The validators that one LivingWorld knows, for all of its worlds."""

    def __init__(self, limits: TemplateLimits = LIMITS) -> None:
        template = partial(compile_template, limits=limits)
        self._validators: dict[str, Validator] = {"plain": str, "jinja2": template}
        #: Raised by each registration: what could not be compiled before may be now.
        self.revision = 0

    def register(self, kind: str, validator: Validator) -> None:
        """Let bodies of this kind be read by a function that returns what runs, or raises; replaces a former one."""
        checked = check_label("kind", kind)
        if not callable(validator) or inspect.iscoroutinefunction(validator):  # type: ignore[redundant-expr]
            raise InvalidType("validator", "must be a plain function of the body")
        self._validators[checked] = validator
        self.revision += 1

    def check(self, name: str, body: str, kind: str) -> CheckedScript:
        """Return the text with what runs; raises ScriptInvalid, and InvalidInput when it cannot be stored."""
        check_name(name)
        check_label("kind", kind)
        check_text("body", body, limit=MAX_CONTENT_CHARACTERS)
        return CheckedScript(name=name, kind=kind, body=body, compiled=self.compile(kind, body))

    async def check_beside(self, name: str, body: str, kind: str) -> CheckedScript:
        """Check a text in a thread, so that other tasks go on; as `check`."""
        return await asyncio.to_thread(self.check, name, body, kind)

    def compile(self, kind: str, body: str) -> Any:  # noqa: ANN401 - what the application's validator returns
        """Return what runs; raises ScriptInvalid."""
        validator = self._validators.get(kind)
        if validator is None:
            raise ScriptInvalid("kind", f"{kind!r} has no validator in this process")
        try:
            return validator(body)
        except InvalidInput:
            raise
        except Exception as error:  # noqa: BLE001 - a validator says no by whatever it raises
            line, reason = getattr(error, "lineno", None), str(error) or type(error).__name__
        raise ScriptInvalid("body", reason, line=line if isinstance(line, int) else None)


def check_name(name: object) -> str:
    """Return a script's name unchanged if it can be one."""
    return check_label("name", name)


def digest_of(kind: str, body: str) -> str:
    """Return the digest by which a version is known again."""
    return sha256(f"{kind}\0{body}".encode()).hexdigest()
