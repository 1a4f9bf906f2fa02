"""A rule or surrogate, written once in plain arithmetic, as a function that Triton compiles into its kernels."""

from __future__ import annotations

import ast
import inspect
import linecache
import math
import re
import textwrap
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import triton
import triton.language as tl


class _Plain(ast.NodeTransformer):
    """Drop what Triton does not read (decorators, docstring, types), and name its own ``abs`` and ``exp``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list, node.returns, node.name = [], None, self.name
        for argument in node.args.args:
            argument.annotation = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "abs":
            node.func = ast.parse("tl.abs", mode="eval").body
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        if not isinstance(node.left, ast.Constant):
            raise ValueError(f"only a number can be raised to a power in a kernel, not {ast.unparse(node.left)}")
        logarithm = math.log(node.left.value)  # type: ignore[arg-type]
        return ast.parse(f"tl.exp(({ast.unparse(node.right)}) * {logarithm!r})", mode="eval").body


@lru_cache
def compiled(function: Callable[..., Any]) -> Any:
    """Return a Triton function that calculates what a function in plain arithmetic (``+ - * /``, ``abs``, ``**``) does.

    Raises
    ------
    OSError
        If there is no source of the function (it was typed into an interpreter).
    ValueError
        If something but a number is raised to a power, or the function was not written with ``def``.
    """
    called = re.sub(r"\W+", "_", function.__qualname__)  # Triton tells functions apart by name, too
    read = ast.parse(textwrap.dedent(inspect.getsource(function)))
    if not isinstance(read.body[0], ast.FunctionDef):
        raise ValueError(f"{function.__qualname__} must be written with def to be compiled for a GPU")
    tree = _Plain(called).visit(read)
    source = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    name = f"<formula of {function.__module__}.{function.__qualname__}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space: dict[str, Any] = {**function.__globals__, "tl": tl, "__name__": function.__module__}
    exec(compile(source, name, "exec"), space)
    return triton.jit(space[called])
