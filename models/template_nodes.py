"""How a template is changed before it is compiled, so that what becomes plain Python is counted too.

Loops, comparisons, literals, slices and `~` are led through filters whose names no template can spell. They give back what
they get.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.visitor import NodeTransformer

ITERATED, TICK, SEEN, SEARCHED, MADE, JOINED = (
    f"ferrule {name}" for name in ("iterated", "tick", "seen", "searched", "made", "joined")
)


class Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`, which mark what a model wrote, for training."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("body"), [], [], body).set_lineno(line)

    def body(self, caller: Callable[[], str]) -> str:
        return caller()


class Instrument(NodeTransformer):
    """Leads what Jinja compiles to plain Python through the filters of `Sandbox._hidden`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        node = self.generic_visit(node)
        node.iter = _through(ITERATED, node.iter)
        node.body.insert(0, nodes.ExprStmt(_through(TICK, nodes.Const(0, lineno=node.lineno)), lineno=node.lineno))
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        node = self.generic_visit(node)
        node.expr = _through(SEEN, node.expr)
        for operand in node.ops:
            operand.expr = _through(SEARCHED if operand.op in ("in", "notin") else SEEN, operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        node = self.generic_visit(node)
        return _through(JOINED, nodes.Tuple(node.nodes, "load", lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return _through(MADE, self.generic_visit(node))

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        node = self.generic_visit(node)
        for pair in node.items:
            pair.key = _through(SEEN, pair.key)  # is hashed
        return _through(MADE, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        node = self.generic_visit(node)
        return _through(MADE, node) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        node = self.generic_visit(node)
        return _through(MADE, node) if isinstance(node.arg, nodes.Slice) else node


def _through(name: str, node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.Const) and name != TICK:
        return node
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
