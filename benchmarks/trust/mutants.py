"""Seeded faults in Python source: what a slip of the hand would have written instead."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        path: The file, relative to the repository.
        line: Where it is.
        kind: What was done.
        source: The whole file with the fault in it.
        diff: What changed.
    """

    path: str
    line: int
    kind: str
    source: str
    diff: str


def faults(root: Path, path: str) -> list[Fault]:
    """Every fault that can be seeded in a file, in the order of its lines."""
    text = (root / path).read_text(encoding="utf-8")
    found = []
    for kind, node, instead in _sites(ast.parse(text)):
        source = _replaced(text, node, instead)
        lines = difflib.unified_diff(text.splitlines(), source.splitlines(), n=0, lineterm="")
        diff = "\n".join(list(lines)[2:])
        if diff:
            found.append(Fault(path, node.lineno, kind, source, diff))
    return sorted(found, key=lambda fault: (fault.line, fault.kind, fault.diff))


Site = tuple[str, ast.expr | ast.stmt, str]


def _sites(node: ast.AST) -> Iterator[Site]:
    """What can be changed in a tree: the kind of fault, the node, and the text instead of it."""
    if isinstance(node, ast.stmt):
        yield from _statement(node)
    elif isinstance(node, ast.expr):
        yield from _expression(node)
    for child in _looked_into(node):
        yield from _sites(child)


def _looked_into(node: ast.AST) -> Iterator[ast.AST]:
    """The children that are code which runs, and not what an error says."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("Error", "cast")):
        return
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper():
        # A budget, one more or one less: nothing that anybody could see.
        return
    left_out = {"annotation", "returns", "decorator_list", "type_comment", "bases"}
    for name, value in ast.iter_fields(node):
        if name in left_out:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child


def _statement(node: ast.stmt) -> Iterator[Site]:
    if isinstance(node, ast.If | ast.While):
        yield "condition negated", node.test, f"not ({ast.unparse(node.test)})"
    if isinstance(node, ast.Return) and node.value is not None and not _none(node.value):
        yield "nothing returned", node, "return None"
    if isinstance(node, ast.Raise):
        yield "error not raised", node, "pass"
    if isinstance(node, ast.AugAssign | ast.Continue | ast.Break):
        yield "statement left out", node, "pass"
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant | ast.Yield):
        yield "statement left out", node, "pass"


def _expression(node: ast.expr) -> Iterator[Site]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARED:
        ops = [_COMPARED[type(node.ops[0])](), *node.ops[1:]]
        yield "comparison", node, _text(ast.Compare(node.left, ops, node.comparators))
    elif isinstance(node, ast.BoolOp):
        either = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and for or", node, _text(ast.BoolOp(either, node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "negation left out", node, _text(node.operand)
    elif isinstance(node, ast.IfExp):
        yield "condition negated", node.test, f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED and not _words(node):
        yield (
            "arithmetic",
            node,
            _text(ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)),
        )
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", node, repr(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "constant", node, _text(ast.Constant(node.value + 1))
        yield "constant", node, _text(ast.Constant(node.value - 1))
    elif isinstance(node, ast.Call) and len(node.args) > 1 and not _checked(node):
        first, second, *rest = node.args
        if not isinstance(first, ast.Starred) and not isinstance(second, ast.Starred):
            swapped = ast.Call(node.func, [second, first, *rest], node.keywords)
            yield "arguments swapped", node, _text(swapped)


def _checked(node: ast.Call) -> bool:
    """Whether swapped arguments would fail at once, whatever the tests."""
    return isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass")


def _none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _words(node: ast.BinOp) -> bool:
    """Whether text is put together."""
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _replaced(text: str, node: ast.expr | ast.stmt, instead: str) -> str:
    """The text with something else where the node is; columns are counted in bytes."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = text.encode().splitlines(keepends=True)
    before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    return (before + instead.encode() + after).decode()
