"""A sandbox of Jinja2 in which a missing value is an error, with a look at the limits wherever a text may grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from livingworld.models.scripts.template_limits import (
    TemplateLimits,
    limited_filter,
    refuse_arguments,
    refuse_large,
    refuse_operation,
    tick,
)


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox with limits."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})
    tick = staticmethod(tick)

    def __init__(self, limits: TemplateLimits) -> None:
        # Not optimized: constants would be computed while validating, and 9**9**9 takes for ever.
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, optimized=False, autoescape=False)
        self._most = limits.output
        self.concat = self._joined  # type: ignore[method-assign]  # it may be replaced, says Jinja2
        del self.globals["lipsum"]
        for name, function in list(self.filters.items()):
            self.filters[name] = limited_filter(name, function, limits.output)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - as Jinja2 has it
        """Compute what is not too large."""
        tick()
        refuse_operation(operator, left, right, self._most)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, called: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as Jinja2 has it
        """Call what is not a method of a text or a number that makes it too large."""
        tick()
        method = getattr(called, "__wrapped__", called)  # the sandbox has a `format` of its own
        of = getattr(method, "__self__", None)
        if isinstance(of, (str, bytes, int)):
            refuse_arguments(method.__name__, (of, *args, *options.values()), self._most)
        return super().call(context, called, *args, **options)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed: nodes.Template = super()._parse(source, name, filename)
        loops: Any = parsed.find_all((nodes.For, nodes.Macro, nodes.CallBlock))
        for loop in loops:
            look_at_the_clock = nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None)
            loop.body.insert(0, nodes.ExprStmt(look_at_the_clock, lineno=loop.lineno))
        parsed.set_environment(self)
        return parsed

    def _joined(self, pieces: Iterable[str]) -> str:
        found = list(pieces)
        refuse_large(sum(map(len, found)), self._most)
        return "".join(found)
