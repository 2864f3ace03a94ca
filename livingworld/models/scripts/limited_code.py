"""The code that Jinja2 makes of a template, in which nothing is made or compared past the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, operators

#: So few constants cost nothing.
_FEW: Final = 8


class LimitedCode(CodeGenerator):
    """The code of a template; what Jinja2 computes in place goes through its environment."""

    def visit_Concat(self, node: nodes.Concat, frame: Any) -> None:  # noqa: ANN401 - as Jinja2 has it
        self.write("environment.concatenated(context.eval_ctx.autoescape, (")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Any) -> None:  # noqa: ANN401 - as Jinja2 has it
        if _is_small(node):
            super().visit_List(node, frame)
        else:
            self._through("literal", super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Any) -> None:  # noqa: ANN401 - as Jinja2 has it
        self._through("literal", super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Any) -> None:  # noqa: ANN401 - as Jinja2 has it
        if node.ctx != "load" or _is_small(node):
            super().visit_Tuple(node, frame)
        else:
            self._through("literal", super().visit_Tuple, node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Any) -> None:  # noqa: ANN401 - as Jinja2 has it
        if isinstance(node.arg, nodes.Slice):
            self._through("made", super().visit_Getitem, node, frame)
        else:
            super().visit_Getitem(node, frame)

    def visit_Operand(self, node: nodes.Operand, frame: Any) -> None:  # noqa: ANN401 - as Jinja2 has it
        if isinstance(node.expr, nodes.Const):
            super().visit_Operand(node, frame)
        else:
            self.write(f" {operators[node.op]} ")
            self._through("compared", self.visit, node.expr, frame)

    def _through(self, method: str, visit: Callable[[Any, Any], None], node: nodes.Node, frame: Any) -> None:  # noqa: ANN401
        self.write(f"environment.{method}(")
        visit(node, frame)
        self.write(")")


def _is_small(node: nodes.List | nodes.Tuple) -> bool:
    return len(node.items) <= _FEW and all(isinstance(each, nodes.Const) for each in node.items)
