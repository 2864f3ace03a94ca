"""What comes out of scripts: versions, and which processes run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from livingworld.errors import InvalidType

#: What a version can be; uses of one that is retiring end, and no use of it begins.
ScriptState = Literal["ready", "retiring", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptVersion:
    """A version of a script; its text never changes."""

    name: str
    #: 1 for the first one; no number is left out.
    version: int
    #: Which validator reads it: "jinja2", "plain", or one that the application registered.
    kind: str
    body: str = field(repr=False)
    #: SHA-256 of kind and body, in hexadecimal digits.
    digest: str
    state: ScriptState
    #: When it was validated and stored.
    validated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptHead:
    """A script, and which of its versions is active."""

    name: str
    #: Number of the newest version.
    last_version: int
    #: Digest of the newest version.
    last_digest: str
    #: None: no version was activated yet.
    active_version: int | None
    #: Rises with every activation, also of a version that was active before.
    activation: int
    activated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptExecution:
    """A process that runs a version now."""

    host: str
    pid: int
    #: One opened LivingWorld.
    process_id: UUID
    #: Since when it has run the version without a pause.
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptUsage:
    """A version of a script, and where it runs."""

    version: int
    kind: str
    digest: str
    state: ScriptState
    validated_at: datetime
    retired_at: datetime | None
    #: Since when it has been the active one; None: it is not.
    active_since: datetime | None
    #: The processes that run it, the longest first.
    executions: tuple[ScriptExecution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One version of a script, ready to run."""

    name: str
    version: int
    kind: str
    body: str = field(repr=False)
    digest: str
    #: What the validator of its kind made of the body.
    compiled: Any = field(repr=False, compare=False)

    def render(self, **values: Any) -> str:  # noqa: ANN401 - whatever the template shows
        """Return the text with these values in it.

        A Jinja2 script raises Jinja2's own errors, UndefinedError for a value that is missing, and
        TemplateLimitExceeded; a plain one takes no values; any other is rendered by the `render` of what its validator
        made.
        """
        if hasattr(self.compiled, "render"):
            return str(self.compiled.render(**values))
        if values or not isinstance(self.compiled, str):
            raise InvalidType("values", f"are not taken by a script of the kind {self.kind!r}, which renders nothing")
        return self.compiled
