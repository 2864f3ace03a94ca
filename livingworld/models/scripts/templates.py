"""Jinja2 templates with limits: size of the body, time and size of what is rendered.

The limits stop mistakes: a loop that does not end, a text that doubles. They are no prison for an attacker: only
who may run code in the process may be trusted to publish a template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

from livingworld.errors import ScriptInvalid, TemplateLimitExceeded
from livingworld.models.scripts.template_budget import BUDGET, Budget
from livingworld.models.scripts.template_limits import TemplateLimits, refuse_large

_MISSING: Final = "needs an extra: pip install 'livingworld[scripts]'"


class Template:
    """A compiled template; each `render` is one budget."""

    def __init__(self, compiled: Any, limits: TemplateLimits) -> None:  # noqa: ANN401 - jinja2.Template
        self._compiled = compiled
        self._limits = limits

    def render(self, **values: Any) -> str:  # noqa: ANN401 - whatever the template shows
        """Return the text; raises TemplateLimitExceeded, and Jinja2's own errors."""
        token = BUDGET.set(Budget(self._limits))
        try:
            return "".join(self._pieces(values))
        except (RecursionError, MemoryError):
            limit = "depth"
        finally:
            BUDGET.reset(token)
        raise TemplateLimitExceeded(limit=limit)

    def _pieces(self, values: dict[str, Any]) -> Iterable[str]:
        size = 0
        for piece in self._compiled.generate(**values):
            size += len(piece)
            refuse_large(size, self._limits.output)
            yield piece


def compile_template(body: str, limits: TemplateLimits) -> Template:
    """Return a template that stands alone; raises ScriptInvalid, or what Jinja2 raises."""
    if len(body) > limits.characters:
        raise ScriptInvalid("body", f"has more than {limits.characters} characters")
    if body.count("{%") + body.count("{{") > limits.tags:
        raise ScriptInvalid("body", f"has more than {limits.tags} statements and expressions")
    environment, find_referenced = _environment()
    parsed = environment.parse(body)
    if names := [str(name) for name in find_referenced(parsed)]:
        raise ScriptInvalid("body", f"uses the template {names[0]!r}; a script stands alone")
    return Template(environment.from_string(parsed), limits)


@cache
def _environment() -> tuple[Any, Callable[[Any], Any]]:
    """Return a sandbox with limits, and what finds the templates that one refers to."""
    try:
        from jinja2 import meta  # noqa: PLC0415 - an extra, and not needed by plain scripts

        from livingworld.models.scripts.limited_environment import LimitedEnvironment  # noqa: PLC0415 - it needs that
    except ModuleNotFoundError:
        raise ScriptInvalid("kind", _MISSING) from None
    return LimitedEnvironment(), meta.find_referenced_templates
