"""A sandbox of Jinja2 in which a missing value is an error, and whatever makes a value looks at the budget first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.runtime import Macro, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context

from livingworld.models.scripts.limited_code import LimitedCode
from livingworld.models.scripts.limited_filters import allowed_method, limited_filter, limited_test
from livingworld.models.scripts.template_budget import BUDGET, FLAT, ITEM, TEXT_ITEM, weight_alone
from livingworld.models.scripts.template_costs import refuse_operation
from livingworld.models.scripts.template_limits import refuse_large


class LimitedNamespace(Namespace):
    """A namespace whose text has none of its values: they change, so that nobody can measure it once."""

    def __repr__(self) -> str:
        return "<Namespace>"


def tick() -> None:
    """Raise TemplateLimitExceeded when the time of the rendering is over."""
    BUDGET.get().tick()


@pass_context  # which keeps Jinja2 from computing constants while the template is checked
def _written(_: object, value: Any) -> Any:  # noqa: ANN401 - whatever the template shows
    budget = BUDGET.get()
    budget.spend(ITEM if isinstance(value, (str, int)) else ITEM + budget.written(value))
    return value


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox with limits; renders where a budget is set."""

    code_generator_class = LimitedCode
    intercepted_binops = frozenset({"*", "**", "%", "+", "-"})
    tick = staticmethod(tick)

    def __init__(self) -> None:
        # Not optimized: constants would be computed while validating, and 9**9**9 takes for ever.
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, optimized=False, autoescape=False, finalize=_written
        )
        self.concat = self._joined  # type: ignore[method-assign]  # it may be replaced, says Jinja2
        del self.globals["lipsum"]
        self.globals["namespace"] = LimitedNamespace
        for name, function in list(self.filters.items()):
            self.filters[name] = limited_filter(name, function)
        tests: dict[str, Any] = dict(self.tests)
        self.tests.update({name: limited_test(test) for name, test in tests.items()})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - as Jinja2 has it
        """Compute what is not too large."""
        budget = BUDGET.get()
        budget.tick()
        refuse_operation(budget, operator, left, right)
        return budget.made(super().call_binop(context, operator, left, right))

    def call(self, context: Any, called: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as Jinja2 has it
        """Call what is not a method of a text or a number that makes it too large."""
        budget = BUDGET.get()
        budget.tick()
        if called is tick:
            return ""
        if isinstance(called, Macro) and not (called.catch_varargs or called.catch_kwargs):
            return super().call(context, called, *args, **options)
        method = getattr(called, "__wrapped__", called)  # the sandbox has a `format` of its own
        of = getattr(method, "__self__", None)
        if isinstance(of, (str, bytes, int)):
            args = allowed_method(budget, method.__name__, of, args, options)
        elif isinstance(called, (type, Macro)):
            budget.weight((*args, *options.values()))
        result = super().call(context, called, *args, **options)
        if isinstance(of, (str, bytes)) and isinstance(result, (list, tuple)):
            budget.spend(len(of) + TEXT_ITEM * len(result))
        return budget.made(result)

    @staticmethod
    def concatenated(escaped: bool, parts: tuple[Any, ...]) -> str:  # noqa: FBT001 - generated code calls it
        """Return the texts of values in one."""
        budget = BUDGET.get()
        budget.tick()
        size = 0
        for each in parts:
            if type(each) in FLAT:
                size += len(each) if type(each) is str else weight_alone(each)
            else:
                size += budget.weight(each)
        refuse_large(size, budget.limits.output)
        joined: str = budget.made((markup_join if escaped else str_join)(parts))
        return joined

    @staticmethod
    def literal(value: Any) -> Any:  # noqa: ANN401 - a list, a tuple or a dict
        """Return what a template writes in place, when it is not too deep."""
        items = (*value, *value.values()) if isinstance(value, dict) else value
        budget = BUDGET.get()
        budget.spend(ITEM * (len(items) + 1))
        if not FLAT.issuperset(map(type, items)):
            budget.nested(value, items)
        return value

    @staticmethod
    def compared(value: Any) -> Any:  # noqa: ANN401 - whatever is compared
        """Return what something is compared with, when that does not take long."""
        budget = BUDGET.get()
        budget.tick()
        if type(value) not in FLAT:
            budget.weight(value)
        return value

    @staticmethod
    def made(value: Any) -> Any:  # noqa: ANN401 - a part of a text or of a list
        """Return a copy of a part, which is paid."""
        return BUDGET.get().made(value)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed: nodes.Template = super()._parse(source, name, filename)
        loops: Any = parsed.find_all((nodes.For, nodes.Macro, nodes.CallBlock))
        for loop in loops:
            look_at_the_clock = nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None)
            loop.body.insert(0, nodes.ExprStmt(look_at_the_clock, lineno=loop.lineno))
        parsed.set_environment(self)
        return parsed

    @staticmethod
    def _joined(pieces: Iterable[str]) -> str:
        found = list(pieces)
        budget = BUDGET.get()
        refuse_large(sum(map(len, found)), budget.limits.output)
        return str(budget.made("".join(found)))
